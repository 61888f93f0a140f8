//! Results of check calls. A check call tests an upstream without side effects. The result distinguishes a fault that
//! affects all recipients from a fault that affects only one.

use super::verdict::{UpstreamFailure, Verdict};

/// The result of a check call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The upstream works, and the settings are right.
    Passed,
    /// The upstream fails for all recipients.
    Failed(UpstreamFailure),
    /// The response does not show whether the upstream works, for example because of a rate limit.
    Unclear,
}

impl CheckResult {
    /// The result of a check call that did not get the expected refusal.
    pub(super) fn from_failure(failure: UpstreamFailure) -> Self {
        match failure.verdict {
            Verdict::Configuration { .. }
            | Verdict::Refused { .. }
            | Verdict::Unknown
            | Verdict::Retry { not_before: None } => Self::Failed(failure),
            Verdict::Retry { not_before: Some(_) }
            | Verdict::RetryUpTo { .. }
            | Verdict::Hook
            | Verdict::Reject
            | Verdict::RejectRecipient => Self::Unclear,
        }
    }
}
