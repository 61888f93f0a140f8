//! Background task that checks how the database is reached, migrates the database and creates partitions ahead of time.
//!
//! The api starts without Postgres: it retries until the tables are ready, and requests are answered 503 until then.

use std::{sync::Arc, time::Duration};

use outbox::{Error, PgPool, ProgramKind};
use tokio::time::sleep;

use crate::admission::queue_monitor::QueueMonitor;

/// Time between two checks while there is a pooler in transaction mode.
const POOLER_INTERVAL: Duration = Duration::from_secs(2);
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// Partitions are created a week ahead, so a failed day does no harm.
const PARTITIONS_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks how the database is reached and prepares the tables, retrying until both succeed, and reports it to the queue
/// monitor. Then creates partitions once a day. Never returns. Without `migrate` it waits for another program to migrate the
/// database.
pub(crate) async fn prepare_database(pool: PgPool, queue: Arc<QueueMonitor>, migrate: bool) {
    check_pooler(&pool, &queue).await;
    while let Err(error) = try_to_prepare(&pool, migrate).await {
        queue.note_unusable(&error);
        sleep(RETRY_INTERVAL).await;
    }
    queue.note_prepared();
    tracing::info!("the tables are ready");
    loop {
        sleep(PARTITIONS_INTERVAL).await;
        if let Err(error) = outbox::partitions::make(&pool).await {
            tracing::warn!(%error, "the partitions of the coming days could not be made: trying again tomorrow");
        }
    }
}

/// Returns when each connection has a server session of its own. Until that is known, the api sends the database nothing else.
async fn check_pooler(pool: &PgPool, queue: &QueueMonitor) {
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
