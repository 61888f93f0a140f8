//! The context of a delivery's steps: the job and its lease, checks that stop an interrupted delivery, and outbox
//! writes that are retried while Postgres is unavailable.

use std::{sync::Arc, time::Duration};

use outbox::{ClaimedJob, Step};
use tokio::time::{Instant, sleep};

use super::{interruption::Interruption, stopwatch::Stopwatch};
use crate::{
    runtime::{leases::HeldLease, outage::OutageError, worker::Worker},
    settings::MailPortals,
};

/// The pause after the first attempt at an outbox write. The pause doubles after each attempt, up to `MAX_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// The delivery of one claimed job.
pub(crate) struct DeliveryRun<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) job: &'a ClaimedJob,
    /// The portals that were configured when the delivery began.
    pub(crate) portals: &'a MailPortals,
    /// Whether this delivery is a probe, which passes an open breaker to test whether the breaker can close.
    pub(crate) is_probe: bool,
    pub(crate) held_lease: &'a HeldLease<'a>,
    /// The time just before the worker sent the claim to Postgres.
    pub(crate) claimed_at: Instant,
}

impl DeliveryRun<'_> {
    /// Starts timing a step.
    pub(super) fn start_step(&self, step: Step) -> Stopwatch {
        Stopwatch::start(step, self.job.attempt, Arc::clone(&self.worker.name))
    }

    /// Time since an earlier attempt created the stored link. The mail may have been sent for the first time soon after
    /// that. Zero if the job has no stored link.
    pub(super) fn since_first_send(&self) -> Duration {
        self.job.link.as_ref().map_or(Duration::ZERO, |link| link.age + self.claimed_at.elapsed())
    }

    /// Call this before every upstream call. Supabase does not check the fencing token: if another worker has claimed
    /// the job, a new link would invalidate the link that the other worker mails.
    pub(super) fn ensure_not_interrupted(&self) -> Result<(), Interruption> {
        if self.held_lease.lost.is_cancelled() || !self.held_lease.is_valid() {
            return Err(Interruption::LeaseLost);
        }
        if self.worker.shutdown.deliveries.is_cancelled() { Err(Interruption::WorkerStopped) } else { Ok(()) }
    }

    /// Runs `work`, but cancels `work` as soon as the lease is lost or the worker must stop.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Interruption> {
        self.ensure_not_interrupted()?;
        tokio::select! {
            // Check for interruptions first, so that an interrupted delivery does not start `work`.
            biased;
            () = self.held_lease.lost.cancelled() => Err(Interruption::LeaseLost),
            () = self.worker.shutdown.deliveries.cancelled() => Err(Interruption::WorkerStopped),
            result = work => Ok(result),
        }
    }

    /// Writes to the outbox. Retries while Postgres is unavailable, even if the lease is lost or the worker must stop.
    pub(super) async fn retry_during_outage<T, E: OutageError, F>(&self, mut write: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.outage.observe(write().await) {
                Err(error) if error.is_outage() => sleep(pause).await,
                result => return result,
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Writes to the outbox. Retries while Postgres is unavailable, until the delivery is interrupted. An interruption
    /// never stops a write in progress, only the pause between two attempts, because a cancelled write may have taken
    /// effect.
    pub(super) async fn retry_until_interrupted<T, E: OutageError, F>(
        &self,
        mut write: impl FnMut() -> F,
    ) -> Result<Result<T, E>, Interruption>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.outage.observe(write().await) {
                Err(error) if error.is_outage() => self.unless_interrupted(sleep(pause)).await?,
                result => return Ok(result),
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}
