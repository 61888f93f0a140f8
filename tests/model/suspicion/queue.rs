//! The jobs. The functions model statements of `outbox`.

use super::{
    guards::SuspicionGuards,
    world::{Recipient, Time},
};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueuedJob {
    pub(crate) recipient: Recipient,
    pub(crate) state: QueuedState,
    pub(crate) place: usize,
    pub(crate) probed_at: Option<Time>,
    pub(crate) refused_at: Option<Time>,
    /// When the job was claimed for its last attempt, if that attempt counts and has failed.
    pub(crate) spent_at: Option<Time>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QueuedState {
    Queued,
    Running,
    Retrying,
    Sent,
    Failed,
    Expired,
    Superseded,
}

/// How a running job is requeued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PutBack {
    /// When the job was claimed, if the attempt counts.
    pub(crate) spent_at: Option<Time>,
    /// The current time, if the job was refused for a reason that may concern only its recipient.
    pub(crate) refused_at: Option<Time>,
    pub(crate) has_delay: bool,
}

impl QueuedJob {
    pub(crate) fn new(recipient: Recipient, place: usize) -> Self {
        Self { recipient, state: QueuedState::Queued, place, probed_at: None, refused_at: None, spent_at: None }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, QueuedState::Queued | QueuedState::Retrying)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.is_waiting() || self.state == QueuedState::Running
    }

    /// Ends a job. Fields that only waiting jobs need are reset, so that there are fewer states.
    pub(crate) fn end(&mut self, state: QueuedState) {
        *self = Self { state, ..Self::new(self.recipient, 0) };
    }

    fn inherit(&mut self, older: &Self) {
        self.probed_at = older.probed_at;
        self.refused_at = older.refused_at;
    }
}

/// `enqueue`: adds a job, which supersedes the recipient's waiting job.
pub(crate) fn enqueue(rows: &mut Vec<QueuedJob>, recipient: Recipient, guards: &SuspicionGuards) {
    let mut newer = QueuedJob::new(recipient, rows.len());
    if let Some(older) = rows.iter_mut().find(|row| row.recipient == recipient && row.is_waiting()) {
        newer.place = older.place;
        if guards.newer_inherits {
            newer.inherit(older);
        }
        older.end(QueuedState::Superseded);
    }
    rows.push(newer);
}

/// The jobs that can be claimed: queued jobs whose recipient has no running job.
pub(crate) fn claimable(rows: &[QueuedJob]) -> impl Iterator<Item = (usize, &QueuedJob)> {
    let is_running = |recipient| rows.iter().any(|row| row.recipient == recipient && row.state == QueuedState::Running);
    rows.iter().enumerate().filter(move |(_, row)| row.state == QueuedState::Queued && !is_running(row.recipient))
}

/// The job that `claim` or `claim_probe` would claim.
pub(crate) fn next(rows: &[QueuedJob], is_probe: bool, guards: &SuspicionGuards) -> Option<usize> {
    let takes_turns = is_probe && guards.probes_take_turns;
    let order = |(_, row): &(usize, &QueuedJob)| (row.probed_at.filter(|_| takes_turns), row.place);
    claimable(rows).min_by_key(order).map(|(job, _)| job)
}

/// `requeue`: the job waits again, or is superseded by a newer request.
pub(crate) fn put_back(rows: &mut [QueuedJob], job: usize, how: PutBack, guards: &SuspicionGuards) {
    let row = &mut rows[job];
    row.refused_at = row.refused_at.or(how.refused_at);
    row.spent_at = how.spent_at;
    row.state = if how.has_delay { QueuedState::Retrying } else { QueuedState::Queued };
    let older = row.clone();
    if let Some(newer) = rows[job + 1..].iter_mut().find(|row| row.recipient == older.recipient && row.is_waiting()) {
        if guards.newer_inherits_from_running {
            newer.inherit(&older);
        }
        rows[job].end(QueuedState::Superseded);
    }
}

/// `promote_due`.
pub(crate) fn promote_due(rows: &mut [QueuedJob]) {
    rows.iter_mut().filter(|row| row.state == QueuedState::Retrying).for_each(|row| row.state = QueuedState::Queued);
}

/// The part of `stop` that gives attempts back.
pub(crate) fn give_back(rows: &mut [QueuedJob], suspected_since: Option<Time>, guards: &SuspicionGuards) {
    for row in rows.iter_mut().filter(|row| row.is_waiting() && row.spent_at.is_some()) {
        let is_recent =
            row.state == QueuedState::Retrying && suspected_since.is_some() && row.spent_at >= suspected_since;
        if is_recent || guards.all_waiting_are_given_back {
            row.spent_at = None;
        }
    }
}
