//! The jobs table for one recipient. The methods of [`Table`] model statements of `outbox`, and are atomic like those
//! statements.
//!
//! The model leaves out quotas, queue places, the number of attempts, breakers, the journal, and double clicks (whose
//! jobs end immediately), because they do not affect the promises. `enqueue` and `requeue` first lock the recipient's
//! quota row, and decide in a later statement. Since the lock changes no job, each of them is a single step in the
//! model.

use crate::safeguards::Safeguards;

/// `seq` and `id` as one number: a job with a larger number is newer.
pub(crate) type ModelJob = usize;

/// A row of `email_jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModelRow {
    pub(crate) state: ModelState,
    /// `lease_token`. Set while the job runs.
    pub(crate) token: Option<u8>,
    /// `lease_expires_at` has passed.
    pub(crate) expired: bool,
    /// `deadline_at` has passed.
    pub(crate) overdue: bool,
    /// `cancelled_at`: an operator cancelled the job while a worker was running it.
    pub(crate) cancelled: bool,
    /// `sealed_link` and `message_id`.
    pub(crate) link: Option<ModelLink>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ModelState {
    Queued,
    Running,
    Retrying,
    Ended(ModelEnd),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ModelEnd {
    Sent,
    Failed,
    Expired,
    Superseded,
    Cancelled,
}

/// The number of a link that Supabase created, and the Message-Id of the mail that contains the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelLink {
    pub(crate) number: u8,
    pub(crate) message_id: u8,
}

/// The lease of a running job. Every later write to the job must contain the lease's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ModelLease {
    pub(crate) job: ModelJob,
    pub(crate) token: u8,
}

/// The result of `seal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelDecision {
    Send,
    Ended,
    LeaseLost,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    pub(crate) rows: Vec<ModelRow>,
    /// The last value of the sequence `email_jobs_lease_token_seq`.
    tokens: u8,
}

impl ModelRow {
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, ModelState::Queued | ModelState::Retrying)
    }

    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.state, ModelState::Ended(_))
    }

    pub(crate) fn is_late(&self) -> bool {
        self.is_waiting() && self.overdue
    }

    /// Whether an operator can cancel the job. A running job whose link is stored cannot be cancelled, because a worker
    /// may be mailing the link.
    pub(crate) fn can_be_cancelled(&self) -> bool {
        self.is_waiting() || self.state == ModelState::Running && self.link.is_none() && !self.cancelled
    }

    /// `email_job_ended`: turns the row of an open job into a history row, without a lease or a link.
    fn end(&mut self, end: ModelEnd, guards: &Safeguards) {
        let link = self.link.filter(|_| !guards.link_is_erased);
        let cancelled = self.cancelled;
        *self = Self { state: ModelState::Ended(end), token: None, expired: false, overdue: false, cancelled, link };
    }

    fn wait(&mut self, state: ModelState) {
        (self.state, self.token, self.expired) = (state, None, false);
    }
}

impl Table {
    /// `enqueue`: supersedes the waiting job and adds a new job.
    pub(crate) fn enqueue(&mut self, guards: &Safeguards) {
        self.rows.iter_mut().filter(|row| row.is_waiting()).for_each(|row| row.end(ModelEnd::Superseded, guards));
        self.rows.push(ModelRow {
            state: ModelState::Queued,
            token: None,
            expired: false,
            overdue: false,
            cancelled: false,
            link: None,
        });
    }

    /// `promote_due`: queues all retrying jobs. The model treats their retries as due.
    pub(crate) fn promote_due(&mut self) {
        self.rows
            .iter_mut()
            .filter(|row| row.state == ModelState::Retrying)
            .for_each(|row| row.state = ModelState::Queued);
    }

    /// The job that `claim` finds: a queued job whose deadline has not passed. `None` if there is no such job, or if
    /// another job of the recipient is running.
    pub(crate) fn next(&self, guards: &Safeguards) -> Option<ModelJob> {
        if guards.one_running_per_recipient && self.rows.iter().any(|row| row.state == ModelState::Running) {
            return None;
        }
        self.rows.iter().position(|row| row.state == ModelState::Queued && !row.overdue)
    }

    /// `claim`. Returns the lease, and the job's link if the job already has one.
    pub(crate) fn claim(&mut self, guards: &Safeguards) -> Option<(ModelLease, Option<ModelLink>)> {
        let job = self.next(guards)?;
        self.tokens += 1;
        let row = &mut self.rows[job];
        (row.state, row.token) = (ModelState::Running, Some(self.tokens));
        Some((ModelLease { job, token: self.tokens }, row.link))
    }

    /// `renew_leases`. Never called for an expired lease if the safeguard `expired_lease_is_lost` is on.
    pub(crate) fn renew(&mut self, lease: ModelLease, guards: &Safeguards) {
        if let Some(row) = self.held(lease, guards) {
            row.expired = false;
        }
    }

    /// `email_cancel_job`: ends a waiting job, and marks a running one.
    pub(crate) fn cancel(&mut self, job: ModelJob, guards: &Safeguards) {
        let row = &mut self.rows[job];
        row.cancelled = row.state == ModelState::Running;
        if !row.cancelled || !guards.cancel_only_marks {
            row.end(ModelEnd::Cancelled, guards);
        }
    }

    /// `seal`: ends the job if it is cancelled, if a newer job is waiting or if the deadline has passed. Otherwise,
    /// stores the link and clears the mail for sending. Changes nothing if the lease is lost.
    pub(crate) fn seal(&mut self, lease: ModelLease, link: ModelLink, guards: &Safeguards) -> ModelDecision {
        let gives_way = guards.check_on_seal && self.newer_waits(lease.job);
        let Some(row) = self.held(lease, guards) else { return ModelDecision::LeaseLost };
        let end = if row.cancelled && guards.cancelled_on_seal {
            ModelEnd::Cancelled
        } else if gives_way {
            ModelEnd::Superseded
        } else if row.overdue {
            ModelEnd::Expired
        } else {
            row.link = Some(link);
            return ModelDecision::Send;
        };
        row.end(end, guards);
        ModelDecision::Ended
    }

    /// `finish`: records an accepted mail or a failure.
    pub(crate) fn finish(&mut self, lease: ModelLease, end: ModelEnd, guards: &Safeguards) {
        if let Some(row) = self.held(lease, guards) {
            row.end(end, guards);
        }
    }

    /// `requeue`: the job waits again. It ends instead if it is cancelled or a newer job is waiting.
    pub(crate) fn requeue(&mut self, lease: ModelLease, state: ModelState, guards: &Safeguards) {
        let gives_way = guards.check_on_requeue && self.newer_waits(lease.job);
        match self.held(lease, guards) {
            Some(row) if row.cancelled && guards.cancelled_on_requeue => row.end(ModelEnd::Cancelled, guards),
            Some(row) if gives_way => row.end(ModelEnd::Superseded, guards),
            Some(row) => row.wait(state),
            None => {}
        }
    }

    /// The second statement of `rescue`: requeues the job under the lease that the first statement found. (If the job's
    /// attempts are used up, `rescue` fails the job instead, under the same token.)
    pub(crate) fn rescue(&mut self, lease: ModelLease, guards: &Safeguards) {
        self.requeue(lease, ModelState::Queued, guards);
    }

    /// `expire`: ends waiting jobs whose deadline has passed.
    pub(crate) fn expire(&mut self, guards: &Safeguards) {
        self.rows.iter_mut().filter(|row| row.is_late()).for_each(|row| row.end(ModelEnd::Expired, guards));
    }

    /// Whether the lease is the current lease of its job.
    pub(crate) fn is_held(&self, lease: ModelLease) -> bool {
        self.rows[lease.job].token == Some(lease.token)
    }

    pub(crate) fn newer_waits(&self, job: ModelJob) -> bool {
        self.rows[job + 1..].iter().any(ModelRow::is_waiting)
    }

    /// The condition `where id = … and lease_token = …` on the partition of open jobs.
    fn held(&mut self, lease: ModelLease, guards: &Safeguards) -> Option<&mut ModelRow> {
        let held = self.is_held(lease) || !guards.fence;
        self.rows.get_mut(lease.job).filter(|row| held && row.is_open())
    }
}
