//! Reads the files of the settings again on SIGHUP. Either all files are used, or none: after a fault, the worker goes on with
//! what it had.

use std::{io, sync::Arc};

use program::SettingErrors;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::{JoinHandle, spawn_blocking},
};

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
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let source = source.clone();
            match spawn_blocking(move || read(&source)).await {
                Ok(read) => apply(&worker, read),
                Err(error) => {
                    metrics::record_reload("failed");
                    tracing::error!(%error, "reload failed: the files were not read");
                }
            }
        }
    }))
}

fn read(source: &ReloadSource) -> Result<ReloadableSettings, SettingErrors> {
    let mut errors = SettingErrors::default();
    let settings = source.read(&mut errors);
    errors.into_result(settings)
}

fn apply(worker: &Worker, read: Result<ReloadableSettings, SettingErrors>) {
    match read {
        Ok(settings) => {
            let changed = worker.apply(settings);
            metrics::record_reload("ok");
            tracing::info!(changed, "reloaded MAIL_TEMPLATES");
        }
        Err(errors) => {
            metrics::record_reload("failed");
            let faults: Vec<String> = errors.into_iter().map(|error| error.to_string()).collect();
            let faults = faults.join("; ");
            tracing::error!(
                faults,
                "reload failed, the earlier files stay in use: fix the faults and send SIGHUP again"
            );
        }
    }
}
