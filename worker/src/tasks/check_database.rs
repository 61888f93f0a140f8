//! Checks every 2.5 seconds that results can be recorded: that the pool and each committer can connect to a server that accepts
//! writes, that the tables match this version, and that no pooler is in transaction mode. While a check fails, the worker
//! claims no jobs and is not ready.

use std::{sync::Arc, time::Duration};

use outbox::{OutageReason, ProgramKind};
use tokio::time::{sleep, timeout};

use crate::runtime::{outage::OutageError, worker::Worker};

/// Time after a check that succeeded, in addition to `AWAY_INTERVAL`. A reported error ends it early.
const INTERVAL: Duration = Duration::from_secs(2);
/// Minimum time between two checks, and the time between them during an outage.
const AWAY_INTERVAL: Duration = Duration::from_millis(500);
/// Timeout of a check: longer than a pool waits for a connection.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks the database. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    loop {
        let checked = timeout(CHECK_TIMEOUT, check(&worker)).await;
        let result = checked.unwrap_or_else(|_| Err(OutageReason::away("it did not answer in time")));
        let is_ok = result.is_ok();
        worker.outage.record_check(result);
        if is_ok {
            worker.outage.wait_for_error(INTERVAL).await;
        }
        // Also pause after an error that a task has reported, because tasks may report many errors.
        sleep(AWAY_INTERVAL).await;
    }
}

/// Checks everything that a delivery needs to record its result.
///
/// # Errors
/// Why a result cannot be recorded now, with the server's own message, if any.
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
