//! Times one step of a delivery and creates its record.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use outbox::{Failure, Step, StepOutcome, StepRecord};
use tokio::time::Instant;

use super::interruption::Interruption;
use crate::{metrics, upstream::verdict::UpstreamFailure};

/// A running step. Each of `ok`, `failed` and `interrupted` ends the step and counts it in the metrics, so call exactly
/// one of these methods, exactly once.
pub(super) struct Stopwatch {
    step: Step,
    attempt: i16,
    worker: Arc<str>,
    started_at: DateTime<Utc>,
    /// The same moment as `started_at`, on the monotonic clock.
    pub(super) started: Instant,
}

impl Stopwatch {
    pub(super) fn start(step: Step, attempt: i16, worker: Arc<str>) -> Self {
        Self { step, attempt, worker, started_at: Utc::now(), started: Instant::now() }
    }

    pub(super) fn ok(&self, http_status: u16) -> StepRecord {
        self.stop(StepOutcome::Ok, Some(http_status), None)
    }

    pub(super) fn failed(&self, failure: &UpstreamFailure) -> StepRecord {
        self.stop(failure.verdict.outcome(), failure.http_status, Some(failure.reason.clone()))
    }

    pub(super) fn interrupted(&self, interruption: Interruption) -> StepRecord {
        self.stop(StepOutcome::Stopped, None, Some(interruption.failure()))
    }

    fn stop(&self, outcome: StepOutcome, http_status: Option<u16>, failure: Option<Failure>) -> StepRecord {
        let record = StepRecord {
            attempt: self.attempt,
            worker: Arc::clone(&self.worker),
            step: self.step,
            outcome,
            http_status,
            failure,
            started_at: self.started_at,
            duration: self.started.elapsed(),
        };
        metrics::record_step(&record);
        record
    }
}
