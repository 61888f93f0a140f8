//! Prepares the database: migrates or checks the tables, and creates the partitions for the coming days. Waits for
//! Postgres as long as necessary.

use std::{sync::atomic::Ordering, time::Duration};

use outbox::{PgPool, ProgramKind, partitions};
use tokio::time::sleep;

use crate::runtime::worker::Worker;

const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Returns when the database is ready for claims. Retries every second after an error, which `OutageLog` logs. With
/// `migrate`, brings the tables up to date. Without `migrate`, waits until another program has done so.
pub async fn prepare(worker: &Worker, migrate: bool) {
    loop {
        let migrated = if migrate { outbox::migrate(&worker.pool).await } else { Ok(()) };
        let prepared = match migrated {
            Ok(()) => check_tables(&worker.pool).await,
            Err(error) => Err(error),
        };
        if worker.outage.observe(prepared).is_ok() {
            tracing::info!("the tables are ready");
            worker.is_prepared.store(true, Ordering::Relaxed);
            return;
        }
        sleep(RETRY_INTERVAL).await;
    }
}

/// Brings the tables up to date and creates the partitions for the coming days.
///
/// # Errors
/// [`outbox::Error`] if the database is unavailable or a migration fails.
pub async fn migrate(pool: &PgPool) -> Result<(), outbox::Error> {
    outbox::migrate(pool).await?;
    partitions::make(pool).await
}

async fn check_tables(pool: &PgPool) -> Result<(), outbox::Error> {
    outbox::check_schema(pool, ProgramKind::Worker).await?;
    partitions::make(pool).await
}
