//! One delivery, read from the top: a link, a turn at Mailgun, a last look, the mail, the record.
//!
//! Each step either goes on or says how the delivery ends; `record` writes that end down, whatever it is.

mod ending;
mod link;
mod send;
mod trouble;

use std::{fmt, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use outbox::{Attempt, ClaimedJob, Failure, JournalEntry, Outcome, Step};
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;

use crate::{leases::Hold, outage::Hindrance, verdict::Trouble, worker::Worker};
use ending::Ending;

/// Between two tries of a write: longer from try to try, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A claimed job on its way.
pub(crate) struct Delivery<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) job: &'a ClaimedJob,
    /// Whether it was let through an open breaker, to see whether the fault is gone.
    pub(crate) probe: bool,
    pub(crate) hold: &'a Hold<'a>,
    pub(crate) claimed_at: Instant,
}

impl Delivery<'_> {
    /// Delivers the job, and writes down what came of it.
    pub(crate) async fn run(&self) {
        let job = self.job;
        let span = tracing::info_span!(
            "job",
            job_id = %job.lease.job,
            request_id = %job.request_id,
            traceparent = job.traceparent.as_deref(),
            attempt = job.attempt,
        );
        async {
            let ending = match self.deliver().await {
                Ok(sent) => Ending::Sent(sent),
                Err(ending) => ending,
            };
            self.record(ending).await;
        }
        .instrument(span)
        .await;
    }

    /// A step, for the journal.
    fn entry(&self, step: &Attempt) -> JournalEntry {
        JournalEntry { step: step.clone(), attempt: self.job.attempt, worker: Arc::clone(&self.worker.name) }
    }

    /// `Ok` is the step that handed the mail to Mailgun; `Err` is every other end.
    async fn deliver(&self) -> Result<Attempt, Ending> {
        let link = match self.link_of_an_earlier_attempt() {
            Ok(link) => link,
            Err(unusable) => self.make_link(unusable).await?,
        };
        self.turn_at_mailgun(&link).await?;
        self.clear_for_sending(&link).await?;
        self.send(&link).await
    }

    /// Before anything begins: Supabase knows no fence, and a link made for a job that is another worker's by now
    /// would kill the one that it mails.
    fn go_on(&self) -> Result<(), Interrupted> {
        if self.hold.lost.is_cancelled() || !self.hold.lasts() {
            return Err(Interrupted::LeaseLost);
        }
        if self.worker.stop.deliveries.is_cancelled() { Err(Interrupted::Stopped) } else { Ok(()) }
    }

    /// Runs `work` unless the lease is lost or the worker stops before or meanwhile.
    async fn unless_interrupted<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        self.go_on()?;
        tokio::select! {
            // In this order: a delivery that must stop begins nothing more.
            biased;
            () = self.hold.lost.cancelled() => Err(Interrupted::LeaseLost),
            () = self.worker.stop.deliveries.cancelled() => Err(Interrupted::Stopped),
            done = work => Ok(done),
        }
    }

    /// Writes to the outbox, again and again while Postgres is away.
    async fn persistently<T, E: Hindrance, F>(&self, mut write: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.outage.watch(write().await) {
                Err(error) if error.is_outage() => sleep(pause).await,
                done => return done,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The same until interrupted: between two tries, since a write that is cut may have been done.
    async fn until_interrupted<T, E: Hindrance, F>(
        &self,
        mut write: impl FnMut() -> F,
    ) -> Result<Result<T, E>, Interrupted>
    where
        F: Future<Output = Result<T, E>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.worker.outage.watch(write().await) {
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
    fn failure(self) -> Failure {
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

/// The clock of a step.
struct Stopwatch {
    step: Step,
    started_at: DateTime<Utc>,
    started: Instant,
}

impl Stopwatch {
    fn start(step: Step) -> Self {
        Self { step, started_at: Utc::now(), started: Instant::now() }
    }

    fn ok(&self, http_status: u16) -> Attempt {
        self.attempt(Outcome::Ok, Some(http_status), None)
    }

    fn trouble(&self, trouble: &Trouble) -> Attempt {
        self.attempt(trouble.verdict.outcome(), trouble.http_status, Some(trouble.failure.clone()))
    }

    fn interrupted(&self, interrupted: Interrupted) -> Attempt {
        self.attempt(Outcome::Stopped, None, Some(interrupted.failure()))
    }

    /// The step as it is journalled, and counted: its time ends here.
    fn attempt(&self, outcome: Outcome, http_status: Option<u16>, failure: Option<Failure>) -> Attempt {
        let attempt = Attempt {
            step: self.step,
            outcome,
            http_status,
            failure,
            started_at: self.started_at,
            duration: self.started.elapsed(),
        };
        crate::metrics::step(&attempt);
        attempt
    }
}
