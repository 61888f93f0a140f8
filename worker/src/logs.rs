//! Log lines on stdout.

use tracing::Level;
use tracing_subscriber::{Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::settings::{LogFormat, LogSettings};

/// Starts logging, once.
///
/// # Errors
/// Something logs already.
pub fn start(settings: LogSettings) -> anyhow::Result<()> {
    let lines = match settings.format {
        LogFormat::Text => fmt::layer().boxed(),
        LogFormat::Json => fmt::layer().json().with_span_list(false).boxed(),
    };
    let fit = filter_fn(|line| *line.level() <= most(line.target()));
    tracing_subscriber::registry().with(settings.filter).with(lines.with_filter(fit)).try_init()?;
    Ok(())
}

/// The most that is written, whatever `RUST_LOG` asks for. Below info, HTTP and TLS libraries may write headers and
/// bytes: keys and links. And some tell at info what only they need to know: poem its own `listening`, sqlx that a
/// migration finds its table, the scheduler that it is there.
fn most(target: &str) -> Level {
    match target.split("::").next() {
        Some("worker" | "outbox" | "magic_link_worker") => Level::TRACE,
        Some("poem" | "sqlx" | "tokio_cron_scheduler") => Level::WARN,
        _ => Level::INFO,
    }
}
