//! The settings of the listeners' connections.

use std::{ops::RangeInclusive, time::Duration};

use outbox::parse_duration;
use program::SettingErrors;

use super::ApiArguments;

const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);

/// The limits of the listeners' connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionSettings {
    /// How long a connection may be idle between two requests.
    pub(crate) keep_alive: Duration,
    /// Maximum number of open connections per listener.
    pub(crate) max: usize,
    /// How long requests are still accepted after the first stop signal.
    pub(crate) drain: Duration,
}

impl ConnectionSettings {
    pub(super) fn read(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<Self> {
        let keep_alive = errors.read("API_KEEP_ALIVE", "620s", parse_keep_alive(&arguments.api_keep_alive));
        let max = errors.in_range("API_MAX_CONNECTIONS", "10000", &arguments.api_max_connections, 10..=100_000);
        let drain = errors.in_range("DRAIN_SECONDS", "5", &arguments.drain_seconds, 0..=3_600);
        Some(Self { keep_alive: keep_alive?, max: max?, drain: Duration::from_secs(drain?) })
    }
}

fn parse_keep_alive(text: &str) -> Result<Duration, String> {
    let keep_alive = parse_duration(text)?;
    if KEEP_ALIVE.contains(&keep_alive) { Ok(keep_alive) } else { Err("must be between 1s and 1h".to_owned()) }
}
