//! Times one step of a delivery, and makes the record of it.

use chrono::{DateTime, Utc};
use outbox::{Attempt, Failure, Outcome, Step};
use tokio::time::Instant;

use super::context::Interrupted;
use crate::upstream::verdict::UpstreamFailure;

/// The clock of a step.
pub(super) struct Stopwatch {
    step: Step,
    started_at: DateTime<Utc>,
    pub(super) started: Instant,
}

impl Stopwatch {
    pub(super) fn start(step: Step) -> Self {
        Self { step, started_at: Utc::now(), started: Instant::now() }
    }

    pub(super) fn ok(&self, http_status: u16) -> Attempt {
        self.attempt(Outcome::Ok, Some(http_status), None)
    }

    pub(super) fn trouble(&self, trouble: &UpstreamFailure) -> Attempt {
        self.attempt(trouble.verdict.outcome(), trouble.http_status, Some(trouble.reason.clone()))
    }

    pub(super) fn interrupted(&self, interrupted: Interrupted) -> Attempt {
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
        crate::metrics::record_attempt(&attempt);
        attempt
    }
}
