//! Logging to stdout: the format of the lines, and which lines are written.
//!
//! `RUST_LOG` selects the lines, within a limit that no setting can lift: only the project's own crates may log at
//! debug and trace. At these levels, HTTP and TLS libraries may log headers and bodies, which contain keys, links and
//! addresses.

use std::io::{IsTerminal as _, stdout};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
    util::TryInitError,
};

use crate::setting_errors::SettingErrors;

/// Format of a log line: `LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Human-readable lines, in colour on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// How and what to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Format of the lines.
    pub format: LogFormat,
    /// Which lines are written.
    pub filter: EnvFilter,
}

impl LogSettings {
    /// Reads the values of `LOG_FORMAT` and `RUST_LOG`.
    pub fn read(format: &str, filter: &str, errors: &mut SettingErrors) -> Option<Self> {
        let format = errors.read("LOG_FORMAT", "json", parse_format(format));
        let filter = errors.read("RUST_LOG", "info", parse_filter(filter));
        Some(Self { format: format?, filter: filter? })
    }
}

fn parse_format(text: &str) -> Result<LogFormat, String> {
    match text.trim() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("`{other}` is neither text nor json")),
    }
}

/// Parses a list of levels, each for the whole program or for a part of it. `EnvFilter` alone would take a misspelt
/// level for the name of a part, and log nothing.
fn parse_filter(text: &str) -> Result<EnvFilter, String> {
    let text = text.trim();
    for directive in text.split(',').map(str::trim).filter(|directive| !directive.is_empty()) {
        let (part, level) = match directive.rsplit_once(']') {
            // A span in brackets needs no level.
            Some((_, "")) => continue,
            Some((_, level)) => ("", level.strip_prefix('=').unwrap_or(level)),
            None => directive.rsplit_once('=').unwrap_or(("", directive)),
        };
        if part.contains(char::is_whitespace) || !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            let levels = LEVELS.join(", ");
            return Err(format!(
                "`{directive}` is neither a level ({levels}) nor a level for a part of the program, \
                 such as outbox=debug"
            ));
        }
    }
    text.parse().map_err(|_| format!("`{text}` is not a list of levels such as info,outbox=debug"))
}

/// The levels, from the least to the most verbose.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts logging. `own_crates` are the calling program's crates. Only these crates and this one may log at levels more
/// verbose than info.
///
/// # Errors
/// [`TryInitError`] if logging has already been started.
pub fn start_log(settings: LogSettings, own_crates: &'static [&'static str]) -> Result<(), TryInitError> {
    let lines = match settings.format {
        LogFormat::Json => fmt::layer().json().with_span_list(false).boxed(),
        // On a terminal, the layer uses colours unless NO_COLOR is set.
        LogFormat::Text if stdout().is_terminal() => fmt::layer().boxed(),
        LogFormat::Text => fmt::layer().with_ansi(false).boxed(),
    };
    let within_limit = filter_fn(|line| *line.level() <= most_verbose(line.target(), own_crates));
    tracing_subscriber::registry().with(settings.filter).with(lines.with_filter(within_limit)).try_init()
}

/// Crates whose info lines do not help operators: poem logs `listening`, sqlx logs that a migration's table exists, and
/// the scheduler logs that it has started.
const QUIET_CRATES: [&str; 3] = ["poem", "sqlx", "tokio_cron_scheduler"];

/// sqlx's pool logs each attempt to connect during an outage, but the programs log the start and the end of an outage
/// themselves. sqlx's URL parser logs the values of parameters that it does not recognise.
const SILENT_TARGETS: [&str; 3] = ["sqlx_core", "sqlx_postgres", "sqlx::pool"];

/// The most verbose level at which a target may log, whatever `RUST_LOG` is set to.
fn most_verbose(target: &str, own_crates: &[&str]) -> LevelFilter {
    if SILENT_TARGETS.iter().any(|silent| target.starts_with(silent)) {
        return LevelFilter::OFF;
    }
    let name = target.split_once("::").map_or(target, |(name, _)| name);
    if name == env!("CARGO_CRATE_NAME") || own_crates.contains(&name) {
        LevelFilter::TRACE
    } else if QUIET_CRATES.contains(&name) {
        LevelFilter::WARN
    } else {
        LevelFilter::INFO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_crates_may_log_below_info() {
        for (target, level) in [
            ("program::signals", LevelFilter::TRACE),
            ("worker", LevelFilter::TRACE),
            ("worker::deliver::run", LevelFilter::TRACE),
            ("workers", LevelFilter::INFO),
            ("api", LevelFilter::INFO),
            ("hyper::proto::h1", LevelFilter::INFO),
            ("rustls", LevelFilter::INFO),
            ("", LevelFilter::INFO),
            ("sqlx", LevelFilter::WARN),
            ("sqlx::query", LevelFilter::WARN),
            ("sqlx::pool::acquire", LevelFilter::OFF),
            ("sqlx_core::pool::inner", LevelFilter::OFF),
            ("sqlx_postgres::options::parse", LevelFilter::OFF),
            ("poem::server", LevelFilter::WARN),
            ("tokio_cron_scheduler::job", LevelFilter::WARN),
        ] {
            assert_eq!(most_verbose(target, &["worker", "outbox"]), level, "{target}");
        }
    }

    #[test]
    fn the_error_for_a_misspelt_level_lists_the_levels() {
        assert_eq!(
            parse_filter("infoo").unwrap_err(),
            "`infoo` is neither a level (off, error, warn, info, debug, trace) nor a level for a part of the program, \
             such as outbox=debug"
        );
    }

    #[test]
    fn log_format_and_rust_log_are_read_and_bad_values_are_reported() {
        for (format, filter, named) in [
            ("text", "info", vec![]),
            (" json ", " info,worker=debug ", vec![]),
            ("text", "", vec![]),
            ("xml", "info", vec!["LOG_FORMAT"]),
            ("text", "OFF,outbox::running=Debug,[answered]=trace,api[answered{code}],,", vec![]),
            ("json", "worker=loud", vec!["RUST_LOG"]),
            ("json", "infoo", vec!["RUST_LOG"]),
            ("json", "info,worker", vec!["RUST_LOG"]),
            ("json", "info,worker=", vec!["RUST_LOG"]),
            ("json", "info worker=debug", vec!["RUST_LOG"]),
            ("json", "[answered]loud", vec!["RUST_LOG"]),
            ("", "=", vec!["LOG_FORMAT", "RUST_LOG"]),
        ] {
            let mut errors = SettingErrors::default();
            let settings = LogSettings::read(format, filter, &mut errors);
            assert_eq!(settings.is_some(), named.is_empty(), "{format} {filter}");
            let variables: Vec<&str> = errors.into_iter().map(|error| error.variable).collect();
            assert_eq!(variables, named, "{format} {filter}");
        }
    }
}
