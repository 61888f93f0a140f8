//! Checks at startup that `DATABASE_URL` does not point to a pooler in transaction mode. Until this check has passed,
//! the worker sends nothing else to the database.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::sleep;

use crate::runtime::worker::Worker;

/// Time between two checks while the database is unavailable.
const AWAY_INTERVAL: Duration = Duration::from_millis(500);
/// Time between two checks while a pooler is in transaction mode.
const POOLER_INTERVAL: Duration = Duration::from_secs(2);

/// Returns once each connection has its own server session.
pub(crate) async fn run(worker: &Worker) {
    while let Err(error) = outbox::check_pooler(&worker.pool).await {
        let pause = if error.is_outage() {
            worker.outage.record_check(Err(error.outage()));
            AWAY_INTERVAL
        } else {
            worker.outage.record_wrong_setting(error.to_string());
            POOLER_INTERVAL
        };
        sleep(pause).await;
    }
    worker.has_own_sessions.store(true, Ordering::Relaxed);
}
