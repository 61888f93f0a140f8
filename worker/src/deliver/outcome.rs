//! The outcomes of a delivery. Only this file records them in the outbox.

use std::time::Duration;

use outbox::{CommitError, Failure, Finish, JobEnd, Recorded, Requeue, Requeued, StepRecord, SuspectedFailure};

use super::{context::DeliveryRun, interruption::Interruption};
use crate::metrics;

/// How a delivery ends on this worker.
pub(super) enum DeliveryOutcome {
    /// Mailgun accepted the mail in this step.
    Sent(StepRecord),
    /// The job failed permanently.
    Failed(Failure, Option<StepRecord>),
    /// The job goes back to the queue, unless the outbox ends it. It is not claimed again before `delay` has passed. If
    /// `is_uncounted` is true, the delivery does not count towards `MAX_ATTEMPTS`.
    Requeue {
        delay: Duration,
        failure: Option<Failure>,
        is_uncounted: bool,
        suspected: Option<SuspectedFailure>,
        step: Option<StepRecord>,
    },
    /// The outbox has already ended the job or given it to another worker. The field contains the state to log.
    DecidedByOutbox(&'static str),
    /// The outbox refused a write. The job is rescued when its lease expires. The field contains the error message.
    Unrecorded(String),
}

impl DeliveryOutcome {
    /// A requeue that counts as an attempt.
    pub(super) fn retry(delay: Duration, failure: Failure, step: StepRecord) -> Self {
        Self::Requeue { delay, failure: Some(failure), is_uncounted: false, suspected: None, step: Some(step) }
    }

    /// An interruption before the mail was sent. Another worker can claim the job immediately.
    pub(super) fn interrupted(interruption: Interruption, step: Option<StepRecord>) -> Self {
        Self::Requeue {
            delay: Duration::ZERO,
            failure: Some(interruption.failure()),
            is_uncounted: true,
            suspected: None,
            step,
        }
    }
}

impl DeliveryRun<'_> {
    /// Records the outcome. Retries while Postgres is unavailable, because a mail that Mailgun accepted must not be
    /// sent again just because the outcome was not recorded. Neither a shutdown nor an expired lease stops the retries:
    /// the fencing token decides whether the write takes effect.
    pub(super) async fn record(&self, outcome: DeliveryOutcome) {
        let state = match outcome {
            DeliveryOutcome::Sent(step) => self.finish(JobEnd::Sent, Some(step)).await,
            DeliveryOutcome::Failed(failure, step) => {
                tracing::warn!(code = failure.code, reason = failure.message, "job failed, will not be retried");
                self.finish(JobEnd::Failed(failure), step).await
            }
            DeliveryOutcome::Requeue { delay, failure, is_uncounted, suspected, step } => {
                let requeue = Requeue { lease: self.job.lease, delay, failure, is_uncounted, suspected, step };
                self.requeue(requeue).await
            }
            DeliveryOutcome::DecidedByOutbox(state) => state,
            DeliveryOutcome::Unrecorded(error) => {
                tracing::error!(error, "the outbox refused a write");
                "unrecorded"
            }
        };
        if matches!(state, "sent" | "failed" | "expired" | "superseded" | "cancelled") {
            self.worker.capacity.record_end();
        }
        let since_claim = self.claimed_at.elapsed();
        metrics::record_delivery(state, self.job.portal.as_deref(), since_claim);
        match state {
            "sent" => metrics::record_sent(self.job.waited + since_claim),
            "lease_lost" => metrics::record_fenced_write(),
            _ => {}
        }
        let duration_ms = u64::try_from(since_claim.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(state, attempts = self.job.attempt, duration_ms, "delivery finished");
    }

    /// Ends the job. Returns the job's new state, or `lease_lost` or `unrecorded` if the end could not be recorded.
    async fn finish(&self, end: JobEnd, step: Option<StepRecord>) -> &'static str {
        let state = if end == JobEnd::Sent { "sent" } else { "failed" };
        let finish = Finish { lease: self.job.lease, end, step };
        match self.retry_during_outage(|| self.worker.committers.finishes.commit(finish.clone())).await {
            Ok(Recorded::Done) => state,
            Ok(Recorded::LeaseLost) => "lease_lost",
            Err(error) => unrecorded(&error),
        }
    }

    /// Puts the job back into the queue, unless the outbox ends it. Returns the job's new state, or `lease_lost` or
    /// `unrecorded` if the requeue could not be recorded.
    async fn requeue(&self, requeue: Requeue) -> &'static str {
        let delay = requeue.delay;
        if let Some(failure) = &requeue.failure {
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let uncounted = requeue.is_uncounted;
            tracing::warn!(
                code = failure.code,
                reason = failure.message,
                delay_ms,
                uncounted,
                "delivery failed, will retry"
            );
        }
        match self.retry_during_outage(|| self.worker.committers.requeues.commit(requeue.clone())).await {
            Ok(Requeued::Waiting) if delay.is_zero() => "queued",
            Ok(Requeued::Waiting) => "retrying",
            Ok(Requeued::Superseded) => "superseded",
            Ok(Requeued::Cancelled) => "cancelled",
            Ok(Requeued::LeaseLost) => "lease_lost",
            Err(error) => unrecorded(&error),
        }
    }
}

fn unrecorded(error: &CommitError) -> &'static str {
    tracing::error!(%error, "the outbox refused a write: another worker will take over the job when its lease expires");
    "unrecorded"
}
