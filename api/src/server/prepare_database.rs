//! Background task that checks how the api reaches the database, then migrates the database, and creates partitions
//! ahead of time.
//!
//! The api can start without Postgres: it retries until the tables are ready, and answers requests with 503 until then.

use std::{sync::Arc, time::Duration};

use outbox::{Error, PgPool, ProgramKind};
use tokio::time::sleep;

use crate::admission::queue_monitor::QueueMonitor;

/// Time between two checks while a pooler is in the wrong mode.
const POOLER_INTERVAL: Duration = Duration::from_secs(2);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Partitions are created a week ahead, so one failed attempt does no harm.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks how the api reaches the database, and then prepares the tables. Retries until both steps succeed, and reports
/// the result to the queue monitor. Then creates partitions once a day. Never returns. If `migrate` is false, waits
/// until another program has migrated the database.
pub(crate) async fn prepare_database(pool: PgPool, queue: Arc<QueueMonitor>, migrate: bool) {
    wait_for_own_sessions(&pool, &queue).await;
    while let Err(error) = try_to_prepare(&pool, migrate).await {
        queue.note_unusable(&error);
        sleep(RETRY_INTERVAL).await;
    }
    queue.note_prepared();
    tracing::info!("the tables are ready");
    loop {
        sleep(PARTITIONS_INTERVAL).await;
        if let Err(error) = outbox::partitions::make(&pool).await {
            tracing::warn!(%error, "could not create the partitions for the next few days: retrying tomorrow");
        }
    }
}

/// Waits until each connection keeps its own server session (see `outbox::check_pooler`). Until then, the api runs no
/// other query.
async fn wait_for_own_sessions(pool: &PgPool, queue: &QueueMonitor) {
    while let Err(error) = outbox::check_pooler(pool).await {
        queue.note_unusable(&error);
        sleep(if error.is_outage() { RETRY_INTERVAL } else { POOLER_INTERVAL }).await;
    }
    queue.note_own_sessions();
}

async fn try_to_prepare(pool: &PgPool, migrate: bool) -> Result<(), Error> {
    if migrate {
        outbox::migrate(pool).await?;
    }
    outbox::check_schema(pool, ProgramKind::Api).await?;
    outbox::partitions::make(pool).await
}
