//! Housekeeping, by the clock. Every worker does it: each chore is safe to do twice at once, and a dead worker's jobs
//! must not wait for one particular worker.

use std::{fmt::Display, sync::Arc, time::Duration};

use outbox::{Error, partitions};
use tokio::sync::Mutex;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::reconcile::reconcile;
use crate::{metrics, runtime::worker::Worker};

/// Cron expressions, with seconds. (`new_repeated` of the scheduler has been seen to stop firing.)
const RESCUE: &str = "*/2 * * * * *";
const EXPIRE: &str = "*/5 * * * * *";
const PARTITIONS: &str = "0 17 * * * *";
const FORGET_QUOTAS: &str = "30 * * * * *";
const FORGET_REPORTS: &str = "45 */10 * * * *";
const FORGET_DELIVERIES: &str = "0 47 * * * *";
const ROLL_UP: &str = "*/10 * * * * *";
const RECONCILE: &str = "2/5 * * * * *";

/// Starts the chores; they stop with the scheduler.
///
/// # Errors
/// The scheduler could not be started.
pub(crate) async fn start(worker: &Arc<Worker>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler.add(chore(RESCUE, worker, rescue)?).await?;
    scheduler.add(chore(EXPIRE, worker, expire)?).await?;
    scheduler.add(chore(PARTITIONS, worker, keep_partitions)?).await?;
    scheduler.add(chore(FORGET_QUOTAS, worker, forget_quotas)?).await?;
    scheduler.add(chore(FORGET_REPORTS, worker, forget_reports)?).await?;
    scheduler.add(chore(FORGET_DELIVERIES, worker, forget_deliveries)?).await?;
    scheduler.add(chore(ROLL_UP, worker, roll_up)?).await?;
    scheduler.add(chore(RECONCILE, worker, reconcile)?).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

/// A chore that is not begun again while it still runs.
fn chore<F>(schedule: &str, worker: &Arc<Worker>, work: fn(Arc<Worker>) -> F) -> Result<Job, JobSchedulerError>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let worker = Arc::clone(worker);
    let turn = Arc::new(Mutex::new(()));
    Job::new_async(schedule, move |_, _| {
        let (worker, turn) = (Arc::clone(&worker), Arc::clone(&turn));
        Box::pin(async move {
            if let Ok(_turn) = turn.try_lock() {
                // The watch has told of an error; the chore comes round again.
                let _ = worker.outage.observe(work(Arc::clone(&worker)).await);
            }
        })
    })
}

async fn rescue(worker: Arc<Worker>) -> Result<(), Error> {
    let rescued = outbox::rescue(&worker.pool, worker.limits.max_attempts).await?;
    metrics::record_rescued(rescued);
    if rescued.exhausted > 0 {
        tracing::error!(
            jobs = rescued.exhausted,
            code = "attempts_exhausted",
            "jobs failed whose workers died each time"
        );
    }
    tell("rescued jobs of workers that are gone", rescued.returned);
    Ok(())
}

async fn expire(worker: Arc<Worker>) -> Result<(), Error> {
    let ended = outbox::expire(&worker.pool).await?;
    metrics::record_expired(ended);
    tell("ended jobs past their deadline", ended.expired + ended.sent);
    Ok(())
}

async fn keep_partitions(worker: Arc<Worker>) -> Result<(), Error> {
    partitions::make(&worker.pool).await?;
    let dropped = partitions::drop_old(&worker.pool, worker.limits.retention_days).await?;
    tell("dropped partitions older than RETENTION_DAYS", dropped.gone.len());
    if let Some(partition) = dropped.in_use {
        tracing::warn!(partition, "a partition older than RETENTION_DAYS is being read: it is dropped at the next try");
    }
    Ok(())
}

async fn forget_quotas(worker: Arc<Worker>) -> Result<(), Error> {
    tell("forgot idle quotas", outbox::forget_idle_quotas(&worker.pool).await?);
    Ok(())
}

async fn forget_reports(worker: Arc<Worker>) -> Result<(), Error> {
    let unmatched_after = Duration::from_hours(24 * worker.limits.retention_days);
    let forgotten = outbox::forget_reports(&worker.pool, unmatched_after).await?;
    tell("forgot old webhook tokens and events that fit no job", forgotten);
    Ok(())
}

/// As long ago as the rest of the history.
async fn forget_deliveries(worker: Arc<Worker>) -> Result<(), Error> {
    let after = Duration::from_hours(24 * worker.limits.retention_days);
    tell("forgot hours of deliveries older than RETENTION_DAYS", outbox::forget_hours(&worker.pool, after).await?);
    tell("forgot suppressions that ended long ago", outbox::suppression::forget(&worker.pool, after).await?);
    Ok(())
}

async fn roll_up(worker: Arc<Worker>) -> Result<(), Error> {
    while outbox::roll_up(&worker.pool).await? {}
    Ok(())
}

fn tell<N: Display + Default + PartialEq>(what: &'static str, count: N) {
    if count == N::default() {
        tracing::debug!(%count, "{what}");
    } else {
        tracing::info!(%count, "{what}");
    }
}
