//! What a probe found.

use outbox::Email;
use serde::Serialize;

/// The result of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProbeResult {
    /// Nothing is wrong.
    Ok,
    /// Mails may arrive, but the operator should look into the problem.
    Warn,
    /// Mails do not arrive, or their links do not work, until the problem is fixed.
    Fail,
    /// The probe was not run.
    Skip,
}

impl ProbeResult {
    /// The first word of a finding's line in the report.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

/// What a probe found, for the person who runs the command. No field contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// The name of the probe: the system, a dot, and what was checked.
    pub(super) probe: &'static str,
    /// The result.
    pub(super) result: ProbeResult,
    /// What was found, as a sentence without its full stop.
    pub(super) message: String,
    /// What the operator should do: for example, which setting or record to change, and to which value.
    pub(super) action: Option<String>,
}

impl Finding {
    pub(super) fn ok(probe: &'static str, message: impl Into<String>) -> Self {
        Self { probe, result: ProbeResult::Ok, message: message.into(), action: None }
    }

    pub(super) fn warn(probe: &'static str, message: impl Into<String>, action: impl Into<String>) -> Self {
        Self { probe, result: ProbeResult::Warn, message: message.into(), action: Some(action.into()) }
    }

    pub(super) fn fail(probe: &'static str, message: impl Into<String>, action: impl Into<String>) -> Self {
        Self { probe, result: ProbeResult::Fail, message: message.into(), action: Some(action.into()) }
    }

    pub(super) fn skip(probe: &'static str, why: impl Into<String>) -> Self {
        Self { probe, result: ProbeResult::Skip, message: why.into(), action: None }
    }
}

/// Masks an address: of the part before the @, only the first character is shown, followed by an ellipsis.
pub(super) fn masked(address: &Email) -> String {
    let text = address.as_str();
    let first = text.chars().next().unwrap_or_default();
    let domain = text.rsplit_once('@').map(|(_, domain)| domain).unwrap_or_default();
    format!("{first}…@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_masked() {
        assert_eq!(masked(&Email::parse("ann.lee@example.com").unwrap()), "a…@example.com");
    }
}
