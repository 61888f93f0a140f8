//! Limits on deliveries: durations and counts.

use std::time::Duration;

use outbox::parse_duration;
use program::SettingErrors;

use super::WorkerArguments;

/// Minimum remaining lifetime of a link that is mailed. Also the shortest `o:deliver-within` that Mailgun accepts.
pub const MIN_LINK_LIFETIME: Duration = Duration::from_mins(5);

/// The durations and counts that limit deliveries.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a link works. Must be the same as Supabase's MAILER_OTP_EXP.
    pub link_lifetime: Duration,
    /// Maximum number of deliveries at a time.
    pub concurrency: usize,
    /// How long a lease lasts unless it is renewed.
    pub lease: Duration,
    /// Number of attempts after which a job fails.
    pub max_attempts: i16,
    /// Timeout for one call to an upstream. It covers everything from connecting to the last byte of the response.
    pub upstream_timeout: Duration,
    /// How long a shutdown waits for running deliveries to finish.
    pub shutdown: Duration,
    /// Number of days for which job history is kept.
    pub retention_days: u64,
}

impl Limits {
    pub(super) fn read(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Self> {
        let link_lifetime = errors.read("LINK_LIFETIME", "1h", parse_link_lifetime(&arguments.link_lifetime));
        let concurrency = errors.in_range("WORKER_CONCURRENCY", "64", &arguments.worker_concurrency, 1..=10_000);
        let lease = errors.in_range("LEASE_SECONDS", "30", &arguments.lease_seconds, 5..=3_600);
        let max_attempts = errors.in_range("MAX_ATTEMPTS", "20", &arguments.max_attempts, 1..=1_000);
        let upstream_timeout = read_upstream_timeout(arguments, errors);
        let shutdown = errors.in_range("SHUTDOWN_SECONDS", "25", &arguments.shutdown_seconds, 0..=3_600);
        let retention_days = errors.in_range("RETENTION_DAYS", "30", &arguments.retention_days, 1..=3_650);
        Some(Self {
            link_lifetime: link_lifetime?,
            concurrency: concurrency?,
            lease: Duration::from_secs(lease?),
            max_attempts: max_attempts?,
            upstream_timeout: upstream_timeout?,
            shutdown: Duration::from_secs(shutdown?),
            retention_days: retention_days?,
        })
    }
}

fn parse_link_lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse_duration(text)?;
    if lifetime > MIN_LINK_LIFETIME { Ok(lifetime) } else { Err("must be more than 5m".to_owned()) }
}

/// Reads `UPSTREAM_TIMEOUT`.
pub(super) fn read_upstream_timeout(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Duration> {
    errors.read("UPSTREAM_TIMEOUT", "12s", parse_duration(&arguments.upstream_timeout))
}
