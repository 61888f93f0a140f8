//! What an upstream's answer means: for the job, and for the jobs behind it. One table per upstream.

pub mod mailgun;
pub mod mailgun_reads;
mod rate_limit;
pub mod supabase;

use std::time::Duration;

use outbox::{Failure, Outcome};

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing happened upstream: try again, not before the time that it named, if it named one.
    Retry {
        /// From now. Holds for all jobs: the upstream asked for patience.
        not_before: Option<Duration>,
    },
    /// This job's own trouble, which may pass: try again, and reject it when this has happened so often.
    RetryUpTo {
        /// Tries in all that may end like this.
        tries: i64,
    },
    /// The request may have been carried out: repeat the very same mail, never a new link.
    Unknown,
    /// This job can never succeed; others can.
    Reject,
    /// No job can succeed until an operator changes something.
    Configuration {
        /// The setting to look at.
        setting: &'static str,
    },
}

impl Verdict {
    /// As the attempt's row tells it.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        match self {
            Self::Retry { .. } | Self::RetryUpTo { .. } => Outcome::Retry,
            Self::Unknown => Outcome::Unknown,
            Self::Reject => Outcome::Reject,
            Self::Configuration { .. } => Outcome::Configuration,
        }
    }
}

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFailure {
    /// What it means.
    pub verdict: Verdict,
    /// Why, to store and to log.
    pub failure: Failure,
    /// The answer's status, if one came.
    pub http_status: Option<u16>,
}

impl UpstreamFailure {
    /// A row of a table, with the upstream's own words, redacted, behind ours.
    fn told(verdict: Verdict, code: &'static str, ours: &str, status: u16, theirs: &str) -> Self {
        let message = match theirs {
            "" => format!("{ours} (status {status})"),
            theirs => format!("{ours} (status {status}: {theirs})"),
        };
        Self { verdict, failure: Failure::new(code, message), http_status: Some(status) }
    }
}

/// Again, when our own schedule says so.
const RETRY: Verdict = Verdict::Retry { not_before: None };

const fn later(wait: Duration) -> Verdict {
    Verdict::Retry { not_before: Some(wait) }
}

const fn configuration(setting: &'static str) -> Verdict {
    Verdict::Configuration { setting }
}
