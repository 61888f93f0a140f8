//! Times an attempt of one step of a delivery and creates its record.

use chrono::{DateTime, Utc};
use outbox::{Attempt, Failure, Outcome, Step};
use tokio::time::Instant;

use super::context::Interruption;
use crate::{metrics, upstream::verdict::UpstreamFailure};

/// A running attempt of a step. Each of `ok`, `failed` and `interrupted` ends the attempt and counts it in the metrics, so
/// call exactly one of them, once.
pub(super) struct Stopwatch {
    step: Step,
    started_at: DateTime<Utc>,
    /// The same moment as `started_at`, on the monotonic clock.
    pub(super) started: Instant,
}

impl Stopwatch {
    pub(super) fn start(step: Step) -> Self {
        Self { step, started_at: Utc::now(), started: Instant::now() }
    }

    pub(super) fn ok(&self, http_status: u16) -> Attempt {
        self.stop(Outcome::Ok, Some(http_status), None)
    }

    pub(super) fn failed(&self, failure: &UpstreamFailure) -> Attempt {
        self.stop(failure.verdict.outcome(), failure.http_status, Some(failure.reason.clone()))
    }

    pub(super) fn interrupted(&self, interruption: Interruption) -> Attempt {
        self.stop(Outcome::Stopped, None, Some(interruption.failure()))
    }

    fn stop(&self, outcome: Outcome, http_status: Option<u16>, failure: Option<Failure>) -> Attempt {
        let attempt = Attempt {
            step: self.step,
            outcome,
            http_status,
            failure,
            started_at: self.started_at,
            duration: self.started.elapsed(),
        };
        metrics::record_attempt(&attempt);
        attempt
    }
}
