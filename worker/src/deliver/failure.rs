//! Decides what to do after a failed upstream call: when to retry the job, and whether to pause or stop all workers.

use std::time::Duration;

use outbox::{Failure, StepRecord, Upstream, upstreams};

use super::{backoff, context::DeliveryRun, outcome::DeliveryOutcome};
use crate::upstream::verdict::{UpstreamFailure, Verdict};

impl DeliveryRun<'_> {
    /// Turns [`Verdict::RetryUpTo`] into [`Verdict::Reject`] once the job has failed too often with the same code.
    pub(super) async fn apply_attempt_limit(&self, failure: UpstreamFailure) -> UpstreamFailure {
        let Verdict::RetryUpTo { attempts } = failure.verdict else { return failure };
        let earlier = outbox::steps_with_code(&self.worker.pool, self.job.lease.job, &failure.reason.code).await;
        match self.worker.outage.observe(earlier) {
            Ok(earlier) if earlier + 1 >= attempts => UpstreamFailure { verdict: Verdict::Reject, ..failure },
            // If the outbox cannot be read, one more attempt does no harm.
            _ => failure,
        }
    }

    /// Records the failed call and returns the outcome of the delivery.
    pub(super) async fn handle_failure(
        &self,
        upstream: Upstream,
        failure: &UpstreamFailure,
        step: StepRecord,
    ) -> DeliveryOutcome {
        self.worker.upstream_health.record_failure(upstream, failure, self.job.recipient.as_str());
        let number = self.job.attempt;
        let reason = failure.reason.clone();
        match failure.verdict {
            Verdict::Reject => DeliveryOutcome::Failed(reason, Some(step)),
            Verdict::Retry { .. } | Verdict::RetryUpTo { .. } | Verdict::Unknown
                if number >= self.worker.limits.max_attempts && !is_requested_wait(failure.verdict) =>
            {
                let message = format!("After {number} attempts. The last: {}", reason.message);
                DeliveryOutcome::Failed(Failure::new("attempts_exhausted", message), Some(step))
            }
            Verdict::Retry { not_before: Some(wait) } => {
                let paused = upstreams::pause(&self.worker.pool, upstream, wait).await;
                // `observe` has logged an error. Without the pause, the other workers get the same response themselves.
                let _ = self.worker.outage.observe(paused);
                uncounted(wait, reason, step)
            }
            // The upstream fails for many recipients, so the attempt does not count against this job.
            Verdict::Retry { not_before: None } if self.worker.upstream_health.slows_claims(upstream) => {
                uncounted(backoff::retry(number), reason, step)
            }
            Verdict::Retry { not_before: None } | Verdict::RetryUpTo { .. } => {
                DeliveryOutcome::retry(backoff::retry(number), reason, step)
            }
            Verdict::Unknown => DeliveryOutcome::retry(backoff::unknown(self.since_first_send()), reason, step),
            Verdict::Configuration { setting } => {
                self.open_breaker(upstream, &reason, setting).await;
                // The open breaker holds the job in the queue, so it needs no delay.
                uncounted(Duration::ZERO, reason, step)
            }
        }
    }

    /// Opens the upstream's breaker, which stops the claims of all workers. Only the worker that opens the breaker, or
    /// changes its code, logs the error.
    async fn open_breaker(&self, upstream: Upstream, reason: &Failure, setting: &'static str) {
        let pool = &self.worker.pool;
        match self.retry_until_interrupted(|| upstreams::open_breaker(pool, upstream, reason, setting)).await {
            Ok(Ok(true)) => tracing::error!(
                upstream = upstream.as_str(),
                code = reason.code,
                setting,
                "{}. No mail goes out until this is mended; tried again by itself",
                reason.message
            ),
            Ok(Ok(false)) => tracing::debug!(upstream = upstream.as_str(), code = reason.code, "still to be mended"),
            Ok(Err(error)) => tracing::error!(%error, "a breaker could not be opened"),
            Err(interruption) => tracing::debug!(interrupted = %interruption, "a breaker could not be opened"),
        }
    }

    /// Records a successful call. A probe also closes the upstream's breaker. Other calls do not, because they may have
    /// started before the breaker opened.
    pub(super) async fn record_success(&self, upstream: Upstream) {
        let worker = self.worker;
        worker.upstream_health.record_success(upstream);
        if !self.is_probe {
            return;
        }
        // If this write fails, the next probe closes the breaker.
        if let Ok(true) = worker.outage.observe(upstreams::close_breaker(&worker.pool, upstream).await) {
            tracing::info!(upstream = upstream.as_str(), "recovered: mail goes out again");
        }
    }
}

/// A requeue that does not count as an attempt of the job.
fn uncounted(delay: Duration, reason: Failure, step: StepRecord) -> DeliveryOutcome {
    DeliveryOutcome::Requeue { delay, failure: Some(reason), is_uncounted: true, step: Some(step) }
}

fn is_requested_wait(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Retry { not_before: Some(_) })
}
