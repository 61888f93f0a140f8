//! What each step of a delivery needs: the job and its lease, the checks that stop a delivery in time, and writes that are
//! retried while Postgres is away.

use std::{fmt, sync::Arc, time::Duration};

use outbox::{Attempt, ClaimedJob, Failure, JournalEntry};
use tokio::time::{Instant, sleep};

use crate::runtime::{leases::HeldLease, outage::OutageError, worker::Worker};

/// Between two tries of a write: longer from try to try, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A claimed job on its way.
pub(crate) struct Delivery<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) job: &'a ClaimedJob,
    /// Whether it was let through an open breaker, to see whether the fault is gone.
    pub(crate) probe: bool,
    pub(crate) hold: &'a HeldLease<'a>,
    pub(crate) claimed_at: Instant,
}

impl Delivery<'_> {
    /// A step, for the journal.
    pub(super) fn entry(&self, step: &Attempt) -> JournalEntry {
        JournalEntry { step: step.clone(), attempt: self.job.attempt, worker: Arc::clone(&self.worker.name) }
    }

    /// Before anything begins: Supabase knows no fence, and a link made for a job that is another worker's by now
    /// would kill the one that it mails.
    pub(super) fn go_on(&self) -> Result<(), Interrupted> {
        if self.hold.lost.is_cancelled() || !self.hold.is_valid() {
            return Err(Interrupted::LeaseLost);
        }
        if self.worker.shutdown.deliveries.is_cancelled() { Err(Interrupted::Stopped) } else { Ok(()) }
    }

    /// Runs `work` unless the lease is lost or the worker stops before or meanwhile.
    pub(super) async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        self.go_on()?;
        tokio::select! {
            // In this order: a delivery that must stop begins nothing more.
            biased;
            () = self.hold.lost.cancelled() => Err(Interrupted::LeaseLost),
            () = self.worker.shutdown.deliveries.cancelled() => Err(Interrupted::Stopped),
            done = work => Ok(done),
        }
    }

    /// Writes to the outbox, again and again while Postgres is away.
    pub(super) async fn persistently<T, E: OutageError, F>(&self, mut write: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.outage.observe(write().await) {
                Err(error) if error.is_outage() => sleep(pause).await,
                done => return done,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The same until interrupted: between two tries, since a write that is cut may have been done.
    pub(super) async fn until_interrupted<T, E: OutageError, F>(
        &self,
        mut write: impl FnMut() -> F,
    ) -> Result<Result<T, E>, Interrupted>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.outage.observe(write().await) {
                Err(error) if error.is_outage() => self.unless_interrupted(sleep(pause)).await?,
                done => return Ok(done),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// Why a delivery is cut short.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Interrupted {
    LeaseLost,
    Stopped,
}

impl Interrupted {
    pub(super) fn failure(self) -> Failure {
        match self {
            Self::LeaseLost => Failure::new("lease_lost", "The lease ended before it could be renewed."),
            Self::Stopped => Failure::new("worker_stopped", "The worker was stopped."),
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure().code)
    }
}
