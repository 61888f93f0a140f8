//! Reads `PORTALS_FILE` and `MAIL_TEMPLATES` again on SIGHUP. If any file is invalid, no setting changes.

use std::sync::Arc;

use program::{ReloadSignal, SettingErrors};

use super::{live::LiveSettings, warnings};
use crate::{metrics, settings::LiveSource, state::AppState};

/// Reloads the files on each SIGHUP. Never returns.
pub(crate) async fn run(state: Arc<AppState>, mut signal: ReloadSignal, source: Arc<LiveSource>) {
    loop {
        signal.next().await;
        let source = source.clone();
        // Reading and checking the files takes a few milliseconds. Do it on another thread, so that this thread can
        // serve requests during this time.
        let loaded = tokio::task::spawn_blocking(move || load(&source)).await;
        match loaded.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(live) => {
                metrics::count_reload(true);
                tracing::info!(portals = live.portals.iter().count(), "reloaded PORTALS_FILE and MAIL_TEMPLATES");
                let confirm = state.confirm_page.as_ref().map(|page| page.settings());
                warnings::log(&live, confirm);
                state.reporter.set_portals(live.portals.ids());
                // Before the first request for a new portal can be accepted, find out which portals the workers have
                // loaded. Ignore errors: while the database is unavailable, no request is accepted anyway.
                let _ = state.reporter.report(&state.pool).await;
                state.note_worker_portals(&live.portals);
                state.live.replace(live);
            }
            Err(faults) => {
                metrics::count_reload(false);
                tracing::error!(
                    faults,
                    "reload failed; the previous settings stay in use: fix the faults and send SIGHUP again"
                );
            }
        }
    }
}

/// Reads and checks the files. The error lists all faults, separated by semicolons, each with its file and, where
/// possible, its line.
fn load(source: &LiveSource) -> Result<LiveSettings, String> {
    let mut errors = SettingErrors::default();
    let live = source.load(&mut errors);
    errors.into_result(live).map_err(|errors| errors.faults())
}
