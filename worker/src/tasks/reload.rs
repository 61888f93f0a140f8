//! Reloads the settings files on SIGHUP. If any file has a fault, the worker uses none of the new files and keeps its
//! previous settings.

use std::{io, sync::Arc};

use program::{ReloadSignal, SettingErrors};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    metrics,
    runtime::worker::Worker,
    settings::{ReloadSource, ReloadableSettings},
};

/// Starts a task that reloads the files on each SIGHUP.
///
/// # Errors
/// The signal handler cannot be installed.
pub(crate) fn start(worker: Arc<Worker>, source: ReloadSource) -> io::Result<JoinHandle<()>> {
    let mut signal = ReloadSignal::new()?;
    Ok(tokio::spawn(async move {
        loop {
            signal.next().await;
            let source = source.clone();
            let read = spawn_blocking(move || read(&source)).await;
            apply(&worker, read.unwrap_or_else(|error| Err(error.to_string()))).await;
        }
    }))
}

/// Reads the settings files. The error lists all faults, each with its file and, where possible, its line.
fn read(source: &ReloadSource) -> Result<ReloadableSettings, String> {
    let mut errors = SettingErrors::default();
    let settings = source.read(&mut errors);
    errors.into_result(settings).map_err(|errors| errors.faults())
}

async fn apply(worker: &Worker, read: Result<ReloadableSettings, String>) {
    match read {
        Ok(settings) => {
            worker.apply(settings);
            metrics::record_reload("ok");
            tracing::info!(portals = worker.portals.current().count(), "reloaded PORTALS_FILE and MAIL_TEMPLATES");
            // Report the portals now, because an api accepts requests for a new portal only after a worker has reported
            // that portal. `observe` logs any error. The next report follows within ten seconds.
            let _ = worker.outage.observe(worker.reporter.report(&worker.pool).await);
        }
        Err(faults) => {
            metrics::record_reload("failed");
            tracing::error!(
                faults,
                "reload failed; the previous settings stay in use: fix the faults and send SIGHUP again"
            );
        }
    }
}
