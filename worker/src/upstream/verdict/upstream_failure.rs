//! A failed upstream call and its verdict: the types that the verdict tables return.

use std::time::Duration;

use outbox::{
    Failure, StepOutcome, Upstream,
    upstreams::{StopKind, StopReason},
};

/// What a failed call means for this job and for the other jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The call had no effect. Unless the upstream requested a wait, it is unknown whether the failure affects all
    /// recipients or only this one.
    Retry {
        /// The wait that the upstream requested, from now. It applies to all jobs. If `None`, use the worker's own
        /// backoff.
        not_before: Option<Duration>,
    },
    /// The failure affects only this job and may be temporary. Retry, but reject the job after a few such failures.
    RetryUpTo {
        /// The job is rejected once this many of its attempts, including the current one, have failed with this code.
        attempts: i64,
    },
    /// The call may have taken effect. Send the same mail again; never create a new link. It is unknown whether the
    /// failure affects all recipients or only this one.
    Unknown,
    /// The upstream refused the call (3xx or 4xx), either for this recipient or for all recipients.
    Refused {
        /// The setting that an operator should check if all calls are refused.
        setting: &'static str,
    },
    /// A Supabase Auth hook failed. Retry. Other jobs can still succeed, because the hook might run only for some
    /// recipients.
    Hook,
    /// This job can never succeed. Other jobs are not affected.
    Reject,
    /// According to the response, this address or account can never get a link or a mail. Anybody can cause this
    /// verdict by requesting a link for such an address.
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
    /// What the failure means for this job and for the other jobs.
    pub verdict: Verdict,
    /// The code and message to store and log.
    pub reason: Failure,
    /// The HTTP status of the response; `None` if there was no response.
    pub http_status: Option<u16>,
}

impl UpstreamFailure {
    /// How to stop calls to the upstream if the failure affects all recipients.
    #[must_use]
    pub fn stop_kind(&self) -> StopKind {
        match self.verdict {
            Verdict::Configuration { .. } | Verdict::Refused { .. } => StopKind::Breaker,
            _ => StopKind::SlowMode,
        }
    }

    /// The setting that an operator should check if the failure affects all recipients.
    #[must_use]
    pub fn setting(&self, upstream: Upstream) -> &'static str {
        match (self.verdict, upstream) {
            (Verdict::Configuration { setting } | Verdict::Refused { setting }, _) => setting,
            (_, Upstream::Supabase) => "SUPABASE_URL",
            (_, Upstream::Mailgun) => "MAILGUN_BASE_URL",
        }
    }

    /// Why calls to the upstream are stopped if the failure affects all recipients.
    #[must_use]
    pub fn stop_reason(&self, upstream: Upstream) -> StopReason<'_> {
        StopReason { kind: self.stop_kind(), failure: &self.reason, setting: self.setting(upstream) }
    }

    /// Creates a failure from a row of a verdict table. The message is the table's explanation, followed by the
    /// upstream's own message, which must already be redacted.
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

/// Retry with the worker's own backoff.
pub(super) const RETRY: Verdict = Verdict::Retry { not_before: None };

/// Retry after a wait that the upstream requested.
pub(super) const fn retry_after(wait: Duration) -> Verdict {
    Verdict::Retry { not_before: Some(wait) }
}

/// The code of a job that is retried because a Supabase Auth hook failed.
pub const HOOK_FAILED: &str = "hook_failed";

pub(super) const fn refused(setting: &'static str) -> Verdict {
    Verdict::Refused { setting }
}

pub(super) const fn configuration(setting: &'static str) -> Verdict {
    Verdict::Configuration { setting }
}
