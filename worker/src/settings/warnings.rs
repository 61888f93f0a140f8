//! Warnings about settings that are valid but probably a mistake.

use std::time::Duration;

use super::{LinkStyle, WorkerSettings};

/// Supabase Auth cancels a call after this time and rolls back the changes of the call (504 `request_timeout`).
const SUPABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// The warnings to log, one for each setting that is probably a mistake.
pub(super) fn collect(settings: &WorkerSettings) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if settings.limits.upstream_timeout < SUPABASE_TIMEOUT {
        warnings.push(
            "UPSTREAM_TIMEOUT is under 10s. Supabase abandons a call after ten seconds; if the worker gives up earlier, \
             Supabase may still replace the person's link",
        );
    }
    if settings.sealing_keys.seals_with_example_key() {
        warnings.push(
            "LINK_SEALING_KEY is the example key of the README, which everybody knows. Set it to the output of \
             `openssl rand -base64 32`",
        );
    }
    if let LinkStyle::Confirm { public_url, .. } = &settings.links.default.style
        && !public_url.shares_domain_with(settings.mailgun.sender_domain())
    {
        warnings.push(
            "PUBLIC_URL and MAIL_FROM share no registrable domain. People and mail filters distrust a mail whose link leads to \
             a domain other than the sender's. Use one domain for both",
        );
    }
    warnings
}
