//! Gets the database ready: tables up to date, and the coming days' partitions. Waits for Postgres as long as it takes.

use std::{sync::atomic::Ordering, time::Duration};

use outbox::{PgPool, partitions};
use tokio::time::sleep;

use crate::runtime::worker::Worker;

const PAUSE: Duration = Duration::from_secs(1);

/// Returns when jobs can be claimed; the outage's watch tells what keeps them from it.
pub async fn prepare(worker: &Worker, migrate: bool) {
    loop {
        let prepared = if migrate { self::migrate(&worker.pool).await } else { look(&worker.pool).await };
        if worker.outage.observe(prepared).is_ok() {
            tracing::debug!("the database is ready");
            worker.is_prepared.store(true, Ordering::Relaxed);
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Brings the tables up to date and makes the coming days' partitions.
///
/// # Errors
/// [`outbox::Error`].
pub async fn migrate(pool: &PgPool) -> Result<(), outbox::Error> {
    outbox::migrate(pool).await?;
    partitions::make(pool).await
}

/// Another program migrates: waits for its tables.
async fn look(pool: &PgPool) -> Result<(), outbox::Error> {
    outbox::ping(pool).await?;
    partitions::make(pool).await
}
