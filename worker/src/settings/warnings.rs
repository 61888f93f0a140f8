//! Warnings about settings that are valid but probably a mistake.

use std::{fmt, time::Duration};

use super::{LinkStyle, WorkerSettings};

/// Supabase Auth cancels a call that takes longer than this and rolls back its changes (504 `request_timeout`).
const SUPABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A setting that is valid but probably a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The name of the probe under which `magic-link-worker check` reports this warning.
    pub(crate) probe: &'static str,
    /// What is wrong.
    pub(crate) problem: &'static str,
    /// What to do.
    pub(crate) action: &'static str,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.problem, self.action)
    }
}

const SHORT_TIMEOUT: Warning = Warning {
    probe: "settings.timeout",
    problem: "UPSTREAM_TIMEOUT is under 10s. Supabase cancels a call after ten seconds. If the worker gives up before \
              that, Supabase may still complete the call and replace the recipient's link",
    action: "Set UPSTREAM_TIMEOUT to 12s",
};

const EXAMPLE_KEY: Warning = Warning {
    probe: "settings.sealing-key",
    problem: "LINK_SEALING_KEY is the public example key from the README",
    action: "Set LINK_SEALING_KEY to the output of `openssl rand -base64 32`",
};

const DIFFERENT_DOMAINS: Warning = Warning {
    probe: "settings.domains",
    problem: "PUBLIC_URL and MAIL_FROM have different registrable domains. People and mail filters distrust a mail \
              whose link leads to a domain other than the sender's",
    action: "Use the same domain for PUBLIC_URL and MAIL_FROM",
};

/// The warnings to log, one for each setting that is probably a mistake.
pub(super) fn collect(settings: &WorkerSettings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if settings.limits.upstream_timeout < SUPABASE_TIMEOUT {
        warnings.push(SHORT_TIMEOUT);
    }
    if settings.sealing_keys.seals_with_example_key() {
        warnings.push(EXAMPLE_KEY);
    }
    if let LinkStyle::Confirm { public_url, .. } = &settings.links.default.style
        && !public_url.shares_domain_with(settings.mailgun.sender_domain())
    {
        warnings.push(DIFFERENT_DOMAINS);
    }
    warnings
}
