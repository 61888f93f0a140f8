//! Reads `PORTALS_FILE` and `MAIL_TEMPLATES` again on SIGHUP. If anything is wrong, no setting changes.

use std::sync::Arc;

use program::{ReloadSignal, SettingErrors};

use super::{live::LiveSettings, warnings};
use crate::{metrics, settings::LiveSource, state::AppState};

/// Reloads on each signal. Never returns.
pub(crate) async fn run(state: Arc<AppState>, mut signal: ReloadSignal, source: Arc<LiveSource>) {
    loop {
        signal.next().await;
        let source = source.clone();
        // Reading and checking takes a few milliseconds, during which this thread can serve requests.
        let loaded = tokio::task::spawn_blocking(move || load(&source)).await;
        match loaded.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(live) => {
                metrics::count_reload(true);
                tracing::info!(portals = live.portals.iter().count(), "reloaded PORTALS_FILE and MAIL_TEMPLATES");
                let confirm = state.confirm_page.as_ref().map(|page| page.settings());
                warnings::log(&live, confirm);
                state.reporter.set_portals(live.portals.ids());
                // Find out which portals the workers know now, before the first request of a new portal is accepted. If the
                // database is unavailable, no request is accepted anyway.
                let _ = state.reporter.report(&state.pool).await;
                state.note_worker_portals(&live.portals);
                state.live.replace(live);
            }
            Err(faults) => {
                metrics::count_reload(false);
                tracing::error!(
                    faults,
                    "reload failed, so the earlier files stay in use: fix the faults and send SIGHUP again"
                );
            }
        }
    }
}

/// The error lists all faults, each with its file and line, separated by semicolons.
fn load(source: &LiveSource) -> Result<LiveSettings, String> {
    let mut errors = SettingErrors::default();
    let live = source.load(&mut errors);
    errors.into_result(live).map_err(|errors| errors.faults())
}
