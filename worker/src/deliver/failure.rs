//! Decides what to do after a failed upstream call: when to retry the job, and whether to pause or stop the upstream
//! for all workers.

use std::time::Duration;

use outbox::{
    Failure, StepOutcome, StepRecord, SuspectedFailure, Upstream,
    upstreams::{self, StoppedBy, Suspicion},
};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use super::{backoff, context::DeliveryRun, outcome::DeliveryOutcome};
use crate::{
    metrics,
    runtime::upstream_stop,
    upstream::{
        check::CheckResult,
        verdict::{UpstreamFailure, Verdict},
    },
};

/// Timeout for a check call after a failure, unless `UPSTREAM_TIMEOUT` is shorter. The timeout is short, because the
/// delivery waits for the result, and a healthy upstream responds within a fraction of a second.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Which recipients a failure affects.
enum FailureScope {
    /// All recipients are affected, and the upstream is stopped.
    Everybody,
    /// Probably only this recipient is affected.
    Recipient,
    /// Only this recipient is affected: after the job's first refusal, a call for another recipient succeeded.
    ConfirmedRecipient,
}

impl DeliveryRun<'_> {
    /// Turns [`Verdict::RetryUpTo`] into [`Verdict::Reject`] once `attempts` attempts of the job have failed with the
    /// same code.
    pub(super) async fn apply_attempt_limit(&self, failure: UpstreamFailure) -> UpstreamFailure {
        let Verdict::RetryUpTo { attempts } = failure.verdict else { return failure };
        let earlier = outbox::steps_with_code(&self.worker.pool, self.job.lease.job, &failure.reason.code).await;
        match self.worker.outage.observe(earlier) {
            Ok(earlier) if earlier + 1 >= attempts => UpstreamFailure { verdict: Verdict::Reject, ..failure },
            // If the outbox cannot be read, one more attempt does no harm.
            _ => failure,
        }
    }

    /// Handles a call that began at `began_at` and failed. Returns the outcome of the delivery.
    pub(super) async fn handle_failure(
        &self,
        upstream: Upstream,
        failure: &UpstreamFailure,
        began_at: Instant,
        step: StepRecord,
    ) -> DeliveryOutcome {
        let number = self.job.attempt;
        let reason = failure.reason.clone();
        match failure.verdict {
            Verdict::Reject => DeliveryOutcome::Failed(reason, Some(step)),
            Verdict::RejectRecipient => refused(upstream, reason, step),
            Verdict::Hook => {
                self.worker.supabase.record_hook_failure(&reason);
                // A failed hook is no evidence against the upstream itself. Mark the job as suspect, so that probes
                // choose other jobs first.
                let failure = SuspectedFailure { upstream, is_refusal: false };
                suspected(backoff::retry(number), reason, step, false, failure)
            }
            Verdict::RetryUpTo { .. } => self.retry(backoff::retry(number), reason, step),
            Verdict::Retry { not_before: Some(wait) } => {
                // `observe` logs any error. If the pause is not stored, the other workers find out about the limit from
                // their own calls.
                let _ = self.worker.outage.observe(upstream_stop::pause(self.worker, upstream, wait, &reason).await);
                uncounted(wait, reason, step)
            }
            Verdict::Configuration { .. } => {
                self.stop_upstream(upstream, StoppedBy::Answer, began_at, failure).await;
                // The job needs no delay: while the upstream is stopped, the job is claimed only as a probe.
                uncounted(Duration::ZERO, reason, step)
            }
            Verdict::Retry { not_before: None } | Verdict::Unknown | Verdict::Refused { .. } => {
                self.handle_suspicion(upstream, failure, began_at, step).await
            }
        }
    }

    /// Handles a failure that may affect either everybody or only this recipient.
    async fn handle_suspicion(
        &self,
        upstream: Upstream,
        failure: &UpstreamFailure,
        began_at: Instant,
        mut step: StepRecord,
    ) -> DeliveryOutcome {
        let reason = failure.reason.clone();
        let is_refusal = matches!(failure.verdict, Verdict::Refused { .. });
        let delay = match failure.verdict {
            Verdict::Unknown => backoff::unknown(self.since_first_send()),
            _ => backoff::retry(self.job.attempt),
        };
        match self.determine_scope(upstream, failure, began_at).await {
            FailureScope::Everybody => {
                if is_refusal {
                    step.outcome = StepOutcome::Configuration;
                }
                // Keep the delay if the mail may have been sent: each retry may send a duplicate.
                let delay = if failure.verdict == Verdict::Unknown { delay } else { Duration::ZERO };
                suspected(delay, reason, step, true, SuspectedFailure { upstream, is_refusal: false })
            }
            FailureScope::ConfirmedRecipient => refused(upstream, reason, step),
            FailureScope::Recipient
                if !is_refusal && !self.is_probe && self.job.attempt >= self.worker.limits.max_attempts =>
            {
                self.retry(delay, reason, step)
            }
            FailureScope::Recipient => {
                suspected(delay, reason, step, self.is_probe, SuspectedFailure { upstream, is_refusal })
            }
        }
    }

    /// Retries the job and counts the attempt. Fails the job if this was its last attempt.
    fn retry(&self, delay: Duration, reason: Failure, step: StepRecord) -> DeliveryOutcome {
        let number = self.job.attempt;
        if number >= self.worker.limits.max_attempts {
            let failed = if number == 1 {
                "The only attempt failed".to_owned()
            } else {
                format!("All {number} attempts failed")
            };
            let message = format!("{failed}. The last failure: {}", reason.message);
            return DeliveryOutcome::Failed(Failure::new("attempts_exhausted", message), Some(step));
        }
        DeliveryOutcome::retry(delay, reason, step)
    }

    /// Determines which recipients a failure affects. It affects everybody if the check call also fails. If not, a
    /// repeated refusal affects only this recipient if another call has succeeded since the first refusal. Any other
    /// failure affects everybody if the upstream is already stopped or if this recipient is the third suspect, and
    /// otherwise probably only this recipient.
    async fn determine_scope(&self, upstream: Upstream, failure: &UpstreamFailure, began_at: Instant) -> FailureScope {
        let worker = self.worker;
        worker.upstream_monitor.note_suspicion(upstream);
        let check = async {
            // The regular checks decide when a stopped upstream works again. Another check call would delay them,
            // because all workers together make at most one check call per second.
            if upstreams::is_stopped(&worker.pool, upstream).await? {
                return Ok((Instant::now(), CheckResult::Unclear));
            }
            let call = worker.check(upstream, CHECK_TIMEOUT);
            worker.upstream_monitor.check_after_failure(&worker.pool, upstream, began_at, call).await
        };
        match self.unless_interrupted(check).await.map(|result| worker.outage.observe(result)) {
            Ok(Ok((began_at, CheckResult::Failed(failure)))) => {
                self.stop_upstream(upstream, StoppedBy::Check, began_at, &failure).await;
                return FailureScope::Everybody;
            }
            Ok(Ok((_, CheckResult::Passed | CheckResult::Unclear))) => {}
            // If the check cannot be run or is interrupted, assume that only this recipient is affected.
            Ok(Err(_)) | Err(_) => return FailureScope::Recipient,
        }
        let is_refusal = matches!(failure.verdict, Verdict::Refused { .. });
        if is_refusal && self.job.personally_refused_by == Some(upstream) {
            return FailureScope::ConfirmedRecipient;
        }
        let recipient = Sha256::digest(self.job.recipient.as_str()).into();
        let reason = failure.stop_reason(upstream);
        let suspicion = upstreams::suspect(&worker.pool, upstream, &recipient, began_at, &reason);
        match worker.outage.observe(suspicion.await) {
            Ok(Suspicion::Stopped { is_new }) => {
                if is_new {
                    upstream_stop::log_stop(upstream, failure);
                }
                FailureScope::Everybody
            }
            Ok(Suspicion::Personal) | Err(_) => {
                if self.job.suspected_upstream != Some(upstream) {
                    metrics::record_suspect(upstream);
                }
                FailureScope::Recipient
            }
        }
    }

    async fn stop_upstream(&self, upstream: Upstream, by: StoppedBy, began_at: Instant, failure: &UpstreamFailure) {
        let stop = || upstream_stop::stop(self.worker, upstream, by, began_at, failure);
        match self.retry_until_interrupted(stop).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, upstream = upstream.as_str(), "could not record that an upstream is stopped")
            }
            Err(interruption) => {
                tracing::debug!(interrupted = %interruption, "could not record that an upstream is stopped");
            }
        }
    }

    /// Records a successful call that began at `began_at`, but only if the upstream may have suspects or may be
    /// stopped. The success can clear the suspects and resume the upstream.
    pub(super) async fn record_success(&self, upstream: Upstream, began_at: Instant) {
        let worker = self.worker;
        let has_suspicion = worker.upstream_monitor.take_suspicion(upstream);
        if !(self.is_probe || self.job.has_suspects || has_suspicion) {
            return;
        }
        // If a write fails, the next recorded success makes up for it.
        let recorded = upstreams::record_success(&worker.pool, upstream, began_at).await;
        let _ = worker.outage.observe(recorded);
        let _ = worker.outage.observe(upstream_stop::resume(worker, upstream, began_at, false).await);
    }
}

/// Fails a job whose recipient an upstream refuses.
fn refused(upstream: Upstream, reason: Failure, step: StepRecord) -> DeliveryOutcome {
    metrics::record_refused_recipient(upstream);
    DeliveryOutcome::Failed(reason, Some(StepRecord { outcome: StepOutcome::Reject, ..step }))
}

/// A requeue that does not count as an attempt.
fn uncounted(delay: Duration, reason: Failure, step: StepRecord) -> DeliveryOutcome {
    DeliveryOutcome::Requeue { delay, failure: Some(reason), is_uncounted: true, suspected: None, step: Some(step) }
}

/// A requeue that marks the job as suspected, so that probes choose other jobs first.
fn suspected(
    delay: Duration,
    reason: Failure,
    step: StepRecord,
    is_uncounted: bool,
    failure: SuspectedFailure,
) -> DeliveryOutcome {
    DeliveryOutcome::Requeue { delay, failure: Some(reason), is_uncounted, suspected: Some(failure), step: Some(step) }
}
