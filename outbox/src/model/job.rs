//! The words that jobs and attempts are told in.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// A job's id: a UUIDv7, so that it begins with the time of the request. Mailgun knows it as `v:job_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A fresh id.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for JobId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A worker's hold on a running job. Only a claim makes one; writes that name a past one change nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The job that is held.
    pub job: JobId,
    pub(crate) token: i64,
}

/// A step of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Supabase Auth is asked for the link.
    GenerateLink,
    /// The mail is handed to Mailgun.
    Send,
}

impl Step {
    /// As it stands in `email_attempts.step`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GenerateLink => "generate_link",
            Self::Send => "send",
        }
    }
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Ok,
    /// Nothing happened upstream: to be tried again.
    Retry,
    /// It may have been done: the same mail goes again.
    Unknown,
    /// This job can never succeed.
    Reject,
    /// No job can succeed until an operator changes something.
    Configuration,
    /// The worker stopped, or lost its lease, before an answer came.
    Stopped,
}

impl Outcome {
    /// As it stands in `email_attempts.outcome`.
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

/// Why something failed: a code to branch on and words to act on. Neither may hold a link, a token or a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Stable, snake_case, at most 64 bytes (longer ones are cut).
    pub code: String,
    /// For operators, at most 1,000 bytes (longer ones are cut).
    pub message: String,
}

impl Failure {
    /// A failure, cut to the sizes that its columns take.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: cut(code.into(), 64), message: cut(message.into(), 1_000) }
    }
}

/// At most `bytes` of a text, whole characters, without NUL (which Postgres refuses).
fn cut(mut text: String, bytes: usize) -> String {
    text.retain(|c| c != '\0');
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// One step that was tried: a row of `email_attempts`.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// What was tried.
    pub step: Step,
    /// What came of it.
    pub outcome: Outcome,
    /// Status of the answer, if one came.
    pub http_status: Option<u16>,
    /// Why, unless the outcome is [`Outcome::Ok`].
    pub failure: Option<Failure>,
    /// When it began, by the worker's clock.
    pub started_at: DateTime<Utc>,
    /// From the request to the end of the answer.
    pub duration: Duration,
}
