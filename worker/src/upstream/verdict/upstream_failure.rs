//! A failed upstream call and its verdict: the types that the verdict tables return.

use std::time::Duration;

use outbox::{
    Failure, StepOutcome, Upstream,
    upstreams::{StopKind, StopReason},
};

/// What a failed call means for this job and for the other jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call had no effect. Without a requested wait (5xx, or no connection) it may concern this recipient or everybody.
    Retry {
        /// The wait that the upstream asked for, from now. It applies to all jobs. `None`: use our own backoff.
        not_before: Option<Duration>,
    },
    /// The failure concerns this job only and may be temporary. Retry, but reject the job after a few such failures.
    RetryUpTo {
        /// Maximum number of attempts of the job that may fail with this code, including this one.
        attempts: i64,
    },
    /// The call may have taken effect. Repeat the same mail; never create a new link. It may concern this recipient or
    /// everybody.
    Unknown,
    /// The call was refused with 4xx, and it is not known whether for this recipient or for everybody.
    Refused {
        /// The setting to check if it concerns everybody.
        setting: &'static str,
    },
    /// A hook of Supabase failed. It runs only for this recipient, so other jobs are not affected. Retry.
    Hook,
    /// This job can never succeed. Other jobs are not affected.
    Reject,
    /// This address or account can never get a link or a mail: the refusal says so itself. Any stranger can cause it.
    RejectRecipient,
    /// No job can succeed until an operator changes a setting.
    Configuration {
        /// The setting to check.
        setting: &'static str,
    },
}

impl Verdict {
    /// The outcome to store in `email_attempts`.
    #[must_use]
    pub fn outcome(self) -> StepOutcome {
        match self {
            Self::Retry { .. } | Self::RetryUpTo { .. } | Self::Refused { .. } | Self::Hook => StepOutcome::Retry,
            Self::Unknown => StepOutcome::Unknown,
            Self::Reject | Self::RejectRecipient => StepOutcome::Reject,
            Self::Configuration { .. } => StepOutcome::Configuration,
        }
    }
}

/// An upstream call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFailure {
    /// What the failure means.
    pub verdict: Verdict,
    /// The code and message to store and log.
    pub reason: Failure,
    /// The HTTP status of the response; `None` if there was no response.
    pub http_status: Option<u16>,
}

impl UpstreamFailure {
    /// How the upstream is stopped if this concerns everybody.
    #[must_use]
    pub fn stop_kind(&self) -> StopKind {
        match self.verdict {
            Verdict::Configuration { .. } | Verdict::Refused { .. } => StopKind::Breaker,
            _ => StopKind::SlowPace,
        }
    }

    /// The setting to check if this concerns everybody.
    #[must_use]
    pub fn setting(&self, upstream: Upstream) -> &'static str {
        match (self.verdict, upstream) {
            (Verdict::Configuration { setting } | Verdict::Refused { setting }, _) => setting,
            (_, Upstream::Supabase) => "SUPABASE_URL",
            (_, Upstream::Mailgun) => "MAILGUN_BASE_URL",
        }
    }

    /// Why the upstream is stopped if this concerns everybody.
    #[must_use]
    pub fn stop_reason(&self, upstream: Upstream) -> StopReason<'_> {
        StopReason { kind: self.stop_kind(), failure: &self.reason, setting: self.setting(upstream) }
    }

    /// A failure from a row of a verdict table. The message is our explanation, followed by the upstream's own message,
    /// which must already be redacted.
    pub(super) fn from_response(
        verdict: Verdict,
        code: &'static str,
        explanation: &str,
        status: u16,
        upstream_message: &str,
    ) -> Self {
        let message = match upstream_message {
            "" => format!("{explanation} (status {status})"),
            _ => format!("{explanation} (status {status}: {upstream_message})"),
        };
        Self { verdict, reason: Failure::new(code, message), http_status: Some(status) }
    }
}

/// Retry with our own backoff.
pub(super) const RETRY: Verdict = Verdict::Retry { not_before: None };

/// Retry after a wait that the upstream asked for.
pub(super) const fn retry_after(wait: Duration) -> Verdict {
    Verdict::Retry { not_before: Some(wait) }
}

/// The code of jobs that a hook of Supabase held up.
pub const HOOK_FAILED: &str = "hook_failed";

pub(super) const fn refused(setting: &'static str) -> Verdict {
    Verdict::Refused { setting }
}

pub(super) const fn configuration(setting: &'static str) -> Verdict {
    Verdict::Configuration { setting }
}
