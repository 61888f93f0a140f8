//! How and what to log: read on its own, since faults of the other settings are told without logs.

use outbox::settings::{Fault, Faults};
use tracing_subscriber::EnvFilter;

use super::Arguments;

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How and what to log.
#[derive(Debug)]
pub struct LogSettings {
    /// Form of the lines.
    pub format: LogFormat,
    /// Which are written.
    pub filter: EnvFilter,
}

impl LogSettings {
    /// Reads `LOG_FORMAT` and `RUST_LOG`.
    ///
    /// # Errors
    /// Every fault that was met.
    pub fn read(arguments: &Arguments) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let format = match arguments.log_format.trim() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            other => {
                faults.add("LOG_FORMAT", "json", format!("`{other}` is neither text nor json"));
                None
            }
        };
        let filter = faults.parse("RUST_LOG", "info", &arguments.rust_log);
        match (format, filter) {
            (Some(format), Some(filter)) => Ok(Self { format, filter }),
            _ => Err(faults.into_vec()),
        }
    }
}
