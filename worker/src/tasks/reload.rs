//! Reloads the settings files on SIGHUP. Either all files are used, or none: after a fault, the worker keeps what it had.

use std::{io, sync::Arc};

use program::{ReloadSignal, SettingErrors};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    metrics,
    runtime::worker::Worker,
    settings::{ReloadSource, ReloadableSettings},
};

/// Starts to wait for SIGHUP.
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

/// The error lists all faults, each with its file and line.
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
            // An api accepts requests for a new portal once a worker has reported it. `observe` logs an error; the next
            // report follows within ten seconds.
            let _ = worker.outage.observe(worker.reporter.report(&worker.pool).await);
        }
        Err(faults) => {
            metrics::record_reload("failed");
            tracing::error!(
                faults,
                "reload failed, so the earlier files stay in use: fix the faults and send SIGHUP again"
            );
        }
    }
}
