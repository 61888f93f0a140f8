//! Writes log lines to stdout: in which form, and which of them.
//!
//! `RUST_LOG` selects the lines, within a limit that no setting can lift: below info, HTTP and TLS libraries may write
//! headers and bodies, and with them keys, links and addresses. Only the project's own crates may log at debug and trace.

use std::io::{IsTerminal as _, stdout};

use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
    util::TryInitError,
};

use crate::setting_errors::SettingErrors;

/// Form of a log line: `LOG_FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people, in colour on a terminal.
    Text,
    /// One JSON object per line.
    Json,
}

/// How and what to log.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// Form of the lines.
    pub format: LogFormat,
    /// Which lines are written.
    pub filter: EnvFilter,
}

impl LogSettings {
    /// Reads the values of `LOG_FORMAT` and `RUST_LOG`.
    pub fn read(format: &str, filter: &str, errors: &mut SettingErrors) -> Option<Self> {
        let format = errors.read("LOG_FORMAT", "json", parse_format(format));
        let filter = errors.parse("RUST_LOG", "info", filter);
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

/// Starts logging. `own_crates` are the calling program's crates: their targets may log below info. This crate's
/// target may, too.
///
/// # Errors
/// [`TryInitError`] if logging has been started before.
pub fn start_log(settings: LogSettings, own_crates: &'static [&'static str]) -> Result<(), TryInitError> {
    let lines = match settings.format {
        LogFormat::Json => fmt::layer().json().with_span_list(false).boxed(),
        // On a terminal the layer decides: colours, unless NO_COLOR is set.
        LogFormat::Text if stdout().is_terminal() => fmt::layer().boxed(),
        LogFormat::Text => fmt::layer().with_ansi(false).boxed(),
    };
    let within_limit = filter_fn(|line| *line.level() <= most_verbose(line.target(), own_crates));
    tracing_subscriber::registry().with(settings.filter).with(lines.with_filter(within_limit)).try_init()
}

/// Crates whose info lines help nobody who runs the programs: poem logs its own `listening`, sqlx that a migration
/// finds its table, the scheduler that it has started.
const QUIET_CRATES: [&str; 3] = ["poem", "sqlx", "tokio_cron_scheduler"];

/// The most verbose level at which a target is written, whatever `RUST_LOG` says.
fn most_verbose(target: &str, own_crates: &[&str]) -> Level {
    let name = target.split_once("::").map_or(target, |(name, _)| name);
    if name == env!("CARGO_CRATE_NAME") || own_crates.contains(&name) {
        Level::TRACE
    } else if QUIET_CRATES.contains(&name) {
        Level::WARN
    } else {
        Level::INFO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_crates_may_log_below_info() {
        for (target, level) in [
            ("program::signals", Level::TRACE),
            ("worker", Level::TRACE),
            ("worker::deliver::run", Level::TRACE),
            ("workers", Level::INFO),
            ("api", Level::INFO),
            ("hyper::proto::h1", Level::INFO),
            ("rustls", Level::INFO),
            ("", Level::INFO),
            ("sqlx", Level::WARN),
            ("sqlx::query", Level::WARN),
            ("poem::server", Level::WARN),
            ("tokio_cron_scheduler::job", Level::WARN),
        ] {
            assert_eq!(most_verbose(target, &["worker", "outbox"]), level, "{target}");
        }
    }

    #[test]
    fn both_settings_are_read_and_each_bad_one_is_named() {
        for (format, filter, named) in [
            ("text", "info", vec![]),
            (" json ", " info,worker=debug ", vec![]),
            ("text", "", vec![]),
            ("xml", "info", vec!["LOG_FORMAT"]),
            ("json", "worker=loud", vec!["RUST_LOG"]),
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
