//! The steps of a delivery, and the record of a step that was tried.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};

use super::failure::Failure;

/// A step of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Request the link from Supabase Auth.
    GenerateLink,
    /// Hand the mail to Mailgun.
    Send,
}

impl Step {
    /// The value in `email_attempts.step` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GenerateLink => "generate_link",
            Self::Send => "send",
        }
    }
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepOutcome {
    /// The step succeeded.
    Ok,
    /// The step failed without having an effect. It can be retried.
    Retry,
    /// The step may have taken effect. A retry sends the same mail again.
    Unknown,
    /// The job can never succeed.
    Reject,
    /// No job can succeed until an operator changes a setting.
    Configuration,
    /// The worker stopped, or lost its lease, before it got a response.
    Stopped,
}

impl StepOutcome {
    /// The value in `email_attempts.outcome` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Retry => "retry",
            Self::Unknown => "unknown",
            Self::Reject => "reject",
            Self::Configuration => "configuration",
            Self::Stopped => "stopped",
        }
    }
}

/// A step that was tried: one row of `email_attempts`.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// Number of the job's attempt, starting at 1.
    pub attempt: i16,
    /// The worker that tried the step, at most 128 bytes.
    pub worker: Arc<str>,
    /// The step.
    pub step: Step,
    /// How the step ended.
    pub outcome: StepOutcome,
    /// HTTP status of the response, if there was one.
    pub http_status: Option<u16>,
    /// Why the step failed. If the step succeeded: why the link from an earlier attempt was replaced, or `None` if it
    /// was not replaced.
    pub failure: Option<Failure>,
    /// When the step started, by the worker's clock.
    pub started_at: DateTime<Utc>,
    /// Time from the call to the end of the response.
    pub duration: Duration,
}
