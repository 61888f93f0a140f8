//! Checks about every 2.5 seconds, and more often during an outage, that results can be recorded: that the pool and
//! each committer can connect to a server that accepts writes, that the tables match this version, and that no pooler
//! is in transaction mode. While the check fails, the worker claims no jobs and is not ready.

use std::{sync::Arc, time::Duration};

use outbox::{OutageReason, ProgramKind};
use tokio::time::{sleep, timeout};

use crate::runtime::{outage::OutageError, worker::Worker};

/// Additional pause after a successful check. An error that a task reports cuts this pause short.
const INTERVAL: Duration = Duration::from_secs(2);
/// Pause after every check. During an outage, there is no other pause.
const AWAY_INTERVAL: Duration = Duration::from_millis(500);
/// Timeout for a check: longer than a pool waits for a connection.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the database. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    loop {
        let checked = timeout(CHECK_TIMEOUT, check(&worker)).await;
        let result = checked.unwrap_or_else(|_| Err(OutageReason::away("Postgres did not answer in time")));
        let is_ok = result.is_ok();
        worker.outage.record_check(result);
        if is_ok {
            worker.outage.wait_for_error(INTERVAL).await;
        }
        // Pause even if a task has reported an error, because tasks may report many errors in quick succession.
        sleep(AWAY_INTERVAL).await;
    }
}

/// Checks everything that a delivery needs to record its result.
///
/// # Errors
/// The reason why results cannot be recorded, including the server's own message if there is one.
pub(crate) async fn check(worker: &Worker) -> Result<(), OutageReason> {
    let (pool, committers) =
        tokio::join!(outbox::check_schema(&worker.pool, ProgramKind::Worker), worker.committers.check());
    match (pool, committers) {
        (Ok(()), Ok(())) => worker.pooler_monitor.check(&worker.pool).await.map_err(|error| error.outage()),
        (Err(error), _) => Err(explain(worker, &error).await),
        (_, Err(error)) => Err(explain(worker, &error).await),
    }
}

async fn explain(worker: &Worker, error: &impl OutageError) -> OutageReason {
    outbox::outage_reason(&worker.pool, &worker.pooler_monitor, error.outage(), error.reason_source()).await
}
