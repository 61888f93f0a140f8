//! From a verdict to what is done about it: when the job comes again, and what the other workers must know.

use outbox::{
    Attempt, Failure,
    upstreams::{self, Upstream},
};

use super::{backoff, context::Delivery, outcome::DeliveryOutcome};
use crate::upstream::verdict::{UpstreamFailure, Verdict};

impl Delivery<'_> {
    /// Rejects the job if this has happened to it as often as may be.
    pub(super) async fn unless_too_often(&self, trouble: UpstreamFailure) -> UpstreamFailure {
        let Verdict::RetryUpTo { attempts } = trouble.verdict else { return trouble };
        let before = outbox::attempts_with_code(&self.worker.pool, self.job.lease.job, &trouble.reason.code).await;
        match self.worker.outage.observe(before) {
            Ok(before) if before + 1 >= attempts => UpstreamFailure { verdict: Verdict::Reject, ..trouble },
            // Where it cannot be told, there is no harm in one try more.
            _ => trouble,
        }
    }

    /// How the delivery ends after a call that did not succeed.
    pub(super) async fn in_trouble(
        &self,
        upstream: Upstream,
        trouble: &UpstreamFailure,
        attempt: Attempt,
    ) -> DeliveryOutcome {
        self.worker.upstream_health.record_failure(upstream, trouble, &self.job.recipient);
        let number = self.job.attempt;
        let failure = trouble.reason.clone();
        match trouble.verdict {
            Verdict::Reject => DeliveryOutcome::Failed(failure, Some(attempt)),
            Verdict::Retry { .. } | Verdict::RetryUpTo { .. } | Verdict::Unknown
                if number >= self.worker.limits.max_attempts && !is_patience(trouble.verdict) =>
            {
                let message = format!("After {number} attempts. The last: {}", failure.message);
                DeliveryOutcome::Failed(Failure::new("attempts_exhausted", message), Some(attempt))
            }
            Verdict::Retry { not_before: Some(wait) } => {
                let paused = upstreams::pause(&self.worker.pool, upstream, wait).await;
                // Unpaused, the others will be told the same by the upstream itself.
                let _ = self.worker.outage.observe(paused);
                DeliveryOutcome::Again { delay: wait, failure: Some(failure), uncounted: true, attempt: Some(attempt) }
            }
            // The upstream's trouble, not this job's: the one that is let through to try it loses nothing by that.
            Verdict::Retry { not_before: None } if self.worker.upstream_health.slows_claims(upstream) => {
                DeliveryOutcome::Again {
                    delay: backoff::retry(number),
                    failure: Some(failure),
                    uncounted: true,
                    attempt: Some(attempt),
                }
            }
            Verdict::Retry { not_before: None } | Verdict::RetryUpTo { .. } => {
                DeliveryOutcome::again(backoff::retry(number), failure, attempt)
            }
            Verdict::Unknown => DeliveryOutcome::again(backoff::unknown(self.since_first_send()), failure, attempt),
            Verdict::Configuration { setting } => {
                self.open_breaker(upstream, &failure, setting).await;
                // Waits behind the breaker, and loses nothing by it.
                DeliveryOutcome::Again {
                    delay: std::time::Duration::ZERO,
                    failure: Some(failure),
                    uncounted: true,
                    attempt: Some(attempt),
                }
            }
        }
    }

    /// Stops all workers' claims, and tells the operators: once, whoever of the workers is first.
    async fn open_breaker(&self, upstream: Upstream, failure: &Failure, setting: &'static str) {
        let pool = &self.worker.pool;
        match self.until_interrupted(|| upstreams::open_breaker(pool, upstream, failure, setting)).await {
            Ok(Ok(true)) => tracing::error!(
                upstream = upstream.as_str(),
                code = failure.code,
                setting,
                "{}. No mail goes out until this is mended; tried again by itself",
                failure.message
            ),
            Ok(Ok(false)) => tracing::debug!(upstream = upstream.as_str(), code = failure.code, "still to be mended"),
            Ok(Err(error)) => tracing::error!(%error, "a breaker could not be opened"),
            Err(interrupted) => tracing::debug!(%interrupted, "a breaker could not be opened"),
        }
    }

    /// Closes the upstream's breaker if this call shows that the fault is gone: only a probe begins after it opened.
    /// (The calls of others may have begun before, and would open and close it in turns.)
    pub(super) async fn succeeded(&self, upstream: Upstream) {
        let worker = self.worker;
        worker.upstream_health.record_success(upstream);
        if !self.probe {
            return;
        }
        // Where this fails, the next probe closes it.
        if let Ok(true) = worker.outage.observe(upstreams::close_breaker(&worker.pool, upstream).await) {
            tracing::info!(upstream = upstream.as_str(), "recovered: mail goes out again");
        }
    }
}

fn is_patience(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Retry { not_before: Some(_) })
}
