//! How a delivery ends here, and the one place that writes it down.

use std::time::Duration;

use outbox::{Attempt, CommitError, Failure, Finish, JobEnd, Recorded, Requeue, Requeued};

use super::context::{Delivery, Interrupted};
use crate::metrics;

/// How a delivery ends on this worker.
pub(super) enum DeliveryOutcome {
    /// Mailgun took the mail, at this step.
    Sent(Attempt),
    /// The job can never succeed.
    Failed(Failure, Option<Attempt>),
    /// The job waits again.
    Again { delay: Duration, failure: Option<Failure>, uncounted: bool, attempt: Option<Attempt> },
    /// The outbox has ended the job itself, or given it to another worker.
    Elsewhere(&'static str),
    /// The outbox refused what was to be written; the job is rescued when its lease ends.
    Unrecorded(String),
}

impl DeliveryOutcome {
    pub(super) fn again(delay: Duration, failure: Failure, attempt: Attempt) -> Self {
        Self::Again { delay, failure: Some(failure), uncounted: false, attempt: Some(attempt) }
    }

    /// Cut short before anything was mailed: another worker takes over at once.
    pub(super) fn handed_back(interrupted: Interrupted, attempt: Option<Attempt>) -> Self {
        Self::Again { delay: Duration::ZERO, failure: Some(interrupted.failure()), uncounted: true, attempt }
    }
}

impl Delivery<'_> {
    /// Writes the end down, however long Postgres is away: a mail that was taken must not go out twice because
    /// nobody noted it. Neither a stop nor a lease that ends cuts this short; the fencing token has the last word.
    pub(super) async fn record(&self, ending: DeliveryOutcome) {
        let state = match ending {
            DeliveryOutcome::Sent(attempt) => self.finish(JobEnd::Sent, Some(&attempt)).await,
            DeliveryOutcome::Failed(failure, attempt) => {
                tracing::warn!(code = failure.code, reason = failure.message, "failed");
                self.finish(JobEnd::Failed(failure), attempt.as_ref()).await
            }
            DeliveryOutcome::Again { delay, failure, uncounted, attempt } => {
                self.requeue(delay, failure, uncounted, attempt.as_ref()).await
            }
            DeliveryOutcome::Elsewhere(state) => state,
            DeliveryOutcome::Unrecorded(error) => {
                tracing::error!(error, "the outbox refused a write");
                "unrecorded"
            }
        };
        if matches!(state, "sent" | "failed" | "expired" | "superseded") {
            self.worker.capacity.record_end();
        }
        let held = self.claimed_at.elapsed();
        metrics::record_delivery(state, held);
        match state {
            "sent" => metrics::record_sent(self.job.waited + held),
            "lease_lost" => metrics::record_fenced_write(),
            _ => {}
        }
        let ms = u64::try_from(held.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(state, ms, "done");
    }

    async fn finish(&self, end: JobEnd, step: Option<&Attempt>) -> &'static str {
        let state = if end == JobEnd::Sent { "sent" } else { "failed" };
        let finish = Finish { lease: self.job.lease, end, journal: step.map(|step| self.entry(step)) };
        match self.persistently(|| self.worker.committers.finishes.commit(finish.clone())).await {
            Ok(Recorded::Done) => state,
            Ok(Recorded::LeaseLost) => "lease_lost",
            Err(error) => unrecorded(&error),
        }
    }

    async fn requeue(
        &self,
        delay: Duration,
        failure: Option<Failure>,
        uncounted: bool,
        step: Option<&Attempt>,
    ) -> &'static str {
        if let Some(failure) = &failure {
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(code = failure.code, reason = failure.message, delay_ms, uncounted, "to be tried again");
        }
        let journal = step.map(|step| self.entry(step));
        let back = Requeue { lease: self.job.lease, delay, failure, uncounted, journal };
        match self.persistently(|| self.worker.committers.requeues.commit(back.clone())).await {
            Ok(Requeued::Waiting) if delay.is_zero() => "queued",
            Ok(Requeued::Waiting) => "retrying",
            Ok(Requeued::Superseded) => "superseded",
            Ok(Requeued::LeaseLost) => "lease_lost",
            Err(error) => unrecorded(&error),
        }
    }
}

fn unrecorded(error: &CommitError) -> &'static str {
    tracing::error!(%error, "the outbox refused a write: the job is taken over when its lease ends");
    "unrecorded"
}
