//! Reports that this api is running, so that operators see all programs in one place.

use std::{sync::Arc, time::Duration};

use outbox::programs::REPORT_INTERVAL;
use tokio::time::{sleep, timeout};

use crate::state::AppState;

/// Time between two checks of whether the tables are ready.
const NOT_PREPARED_INTERVAL: Duration = Duration::from_millis(100);

/// Minimum time between two reports.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Reports every 10 seconds that this api is running, once the tables are ready. Reports earlier if a request was
/// rejected because no worker has loaded its portal. Never returns.
pub(super) async fn run(state: Arc<AppState>) {
    loop {
        if !state.queue.is_prepared() {
            sleep(NOT_PREPARED_INTERVAL).await;
            continue;
        }
        if let Err(error) = state.reporter.report(&state.pool).await {
            // A failed report is logged only at `debug`, because the queue monitor logs outages.
            tracing::debug!(
                %error,
                "could not record in email_programs that this api is running: retrying in 10 seconds"
            );
        }
        state.note_worker_portals(&state.live.current().portals);
        let is_wanted = async {
            sleep(MIN_INTERVAL).await;
            state.report_wanted.notified().await;
        };
        // The next report is due after REPORT_INTERVAL, or earlier if another task requests a report.
        let _ = timeout(REPORT_INTERVAL, is_wanted).await;
    }
}
