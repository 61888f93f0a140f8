//! Identifies the running program: its version, its commit and its name.

use chrono::Utc;

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The abbreviated hash of the commit that the program was built from. `None` if the commit is unknown.
pub const COMMIT: Option<&str> = if COMMIT_OR_EMPTY.is_empty() { None } else { Some(COMMIT_OR_EMPTY) };

const COMMIT_OR_EMPTY: &str = env!("MAGIC_LINK_COMMIT");

/// A unique name for this process: host, process id and start time. At most 128 bytes.
#[must_use]
pub fn instance_name() -> String {
    let mut host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("HOSTNAME").ok())
        .map_or_else(|| "host".to_owned(), |name| name.trim().to_owned());
    // Leave room for the process id and the start time.
    host.truncate(host.floor_char_boundary(80));
    format!("{host}:{}:{}", std::process::id(), Utc::now().format("%Y%m%dT%H%M%SZ"))
}
