//! Settings that the worker can work with, but that are rarely meant.

use std::time::Duration;

use super::WorkerSettings;

/// Supabase Auth gives a call up after this time and undoes what it did (504 `request_timeout`).
const SUPABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// One line per such setting, for the log.
pub(super) fn of(settings: &WorkerSettings) -> Vec<&'static str> {
    let mut warnings = Vec::new();
    if settings.limits.upstream_timeout < SUPABASE_TIMEOUT {
        warnings.push(
            "UPSTREAM_TIMEOUT is under 10s. Supabase gives a call up after ten seconds; if the worker gives it up earlier, \
             Supabase may still replace the person's link",
        );
    }
    if settings.sealing_keys.seals_with_example() {
        warnings.push(
            "LINK_SEALING_KEY is the key of the README's example, which everybody knows. Set the output of \
             `openssl rand -base64 32`",
        );
    }
    warnings
}
