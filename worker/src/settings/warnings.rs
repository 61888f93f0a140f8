//! Warnings about settings that are valid but probably a mistake.

use std::{fmt, time::Duration};

use super::{LinkStyle, WorkerSettings};

/// Supabase Auth cancels a call after this time and rolls back the changes of the call (504 `request_timeout`).
const SUPABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// A setting that is valid but probably a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The name of the probe in `magic-link-worker check`.
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
    problem: "UPSTREAM_TIMEOUT is under 10s. Supabase abandons a call after ten seconds; if the worker gives up earlier, \
              Supabase may still replace the person's link",
    action: "Set UPSTREAM_TIMEOUT to 12s",
};

const EXAMPLE_KEY: Warning = Warning {
    probe: "settings.sealing-key",
    problem: "LINK_SEALING_KEY is the public example key from the README",
    action: "Set it to the output of `openssl rand -base64 32`",
};

const DIFFERENT_DOMAINS: Warning = Warning {
    probe: "settings.domains",
    problem: "PUBLIC_URL and MAIL_FROM share no registrable domain. People and mail filters distrust a mail whose link leads to \
              a domain other than the sender's",
    action: "Use one domain for both",
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
