//! Results of check calls. A check call tests an upstream without side effects. The result distinguishes a fault that affects
//! everybody from a fault that affects a single recipient.

use super::verdict::{UpstreamFailure, Verdict};

/// The result of a check call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The upstream works, and the settings are right.
    Passed,
    /// The upstream fails for everybody.
    Failed(UpstreamFailure),
    /// The response does not show whether the upstream works, for example because of a rate limit.
    Unclear,
}

impl CheckResult {
    /// The result for a response that is not the expected refusal.
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
