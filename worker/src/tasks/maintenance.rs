//! Periodic maintenance: rescues and expires jobs, manages partitions, and deletes old rows. Every worker runs all
//! tasks, so that no task depends on a particular worker. It is safe to run a task in several workers at the same time.

use std::{fmt::Display, sync::Arc, time::Duration};

use outbox::{EndedJob, Error, partitions};
use tokio::sync::Mutex;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use super::reconcile::reconcile;
use crate::{metrics, runtime::worker::Worker};

/// Cron expressions, with seconds. Do not use the scheduler's `new_repeated`: repeated jobs have been seen to stop
/// firing.
const RESCUE: &str = "*/2 * * * * *";
const EXPIRE: &str = "*/5 * * * * *";
const PARTITIONS: &str = "0 17 * * * *";
const DELETE_IDLE_QUOTAS: &str = "30 * * * * *";
const DELETE_OLD_REPORTS: &str = "45 */10 * * * *";
const DELETE_OLD_HISTORY: &str = "0 47 * * * *";
const DELETE_OLD_REDIRECT_CHECKS: &str = "15 * * * * *";
const ROLL_UP: &str = "*/10 * * * * *";
const RECONCILE: &str = "2/5 * * * * *";

/// Minimum time after the last error of a database outage, or after startup, before a worker rescues jobs. This gives
/// the workers that hold the jobs time to record their results: they retry at least every 2 seconds.
const RESCUE_AFTER_OUTAGE: Duration = Duration::from_secs(5);

/// Starts all maintenance tasks. They run until the returned scheduler is shut down.
///
/// # Errors
/// The scheduler cannot be started.
pub(crate) async fn start(worker: &Arc<Worker>) -> Result<JobScheduler, JobSchedulerError> {
    let scheduler = JobScheduler::new().await?;
    scheduler.add(scheduled(RESCUE, worker, rescue)?).await?;
    scheduler.add(scheduled(EXPIRE, worker, expire)?).await?;
    scheduler.add(scheduled(PARTITIONS, worker, maintain_partitions)?).await?;
    scheduler.add(scheduled(DELETE_IDLE_QUOTAS, worker, delete_idle_quotas)?).await?;
    scheduler.add(scheduled(DELETE_OLD_REPORTS, worker, delete_old_reports)?).await?;
    scheduler.add(scheduled(DELETE_OLD_HISTORY, worker, delete_old_history)?).await?;
    scheduler.add(scheduled(DELETE_OLD_REDIRECT_CHECKS, worker, delete_old_redirect_checks)?).await?;
    scheduler.add(scheduled(ROLL_UP, worker, roll_up)?).await?;
    scheduler.add(scheduled(RECONCILE, worker, reconcile)?).await?;
    scheduler.start().await?;
    Ok(scheduler)
}

/// A task that runs on a schedule. A run is skipped while the previous run of the same task is still in progress.
fn scheduled<F>(schedule: &str, worker: &Arc<Worker>, task: fn(Arc<Worker>) -> F) -> Result<Job, JobSchedulerError>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let worker = Arc::clone(worker);
    let in_progress = Arc::new(Mutex::new(()));
    Job::new_async(schedule, move |_, _| {
        let (worker, in_progress) = (Arc::clone(&worker), Arc::clone(&in_progress));
        Box::pin(async move {
            if let Ok(_guard) = in_progress.try_lock() {
                // `observe` logs any error. The next run tries again.
                let _ = worker.outage.observe(task(Arc::clone(&worker)).await);
            }
        })
    })
}

async fn rescue(worker: Arc<Worker>) -> Result<(), Error> {
    // During an outage, workers cannot renew leases or record results. After an outage, give the workers time to do so.
    if worker.outage.time_since_error() < RESCUE_AFTER_OUTAGE {
        return Ok(());
    }
    let rescued = outbox::rescue(&worker.pool, worker.limits.max_attempts).await?;
    metrics::record_rescued(&rescued);
    rescued.exhausted.iter().chain(&rescued.ended).for_each(EndedJob::log);
    if !rescued.exhausted.is_empty() {
        tracing::error!(
            jobs = rescued.exhausted.len(),
            code = "attempts_exhausted",
            "jobs failed because their worker died during their last attempt"
        );
    }
    log_count("rescued jobs from dead workers", rescued.requeued);
    Ok(())
}

async fn expire(worker: Arc<Worker>) -> Result<(), Error> {
    let ended = outbox::expire(&worker.pool).await?;
    metrics::record_expired(&ended);
    ended.iter().for_each(EndedJob::log);
    log_count("ended jobs whose deadline had passed", ended.len());
    Ok(())
}

async fn maintain_partitions(worker: Arc<Worker>) -> Result<(), Error> {
    partitions::make(&worker.pool).await?;
    let dropped = partitions::drop_old(&worker.pool, worker.limits.retention_days).await?;
    log_count("dropped partitions older than RETENTION_DAYS", dropped.names.len());
    if let Some(partition) = dropped.in_use {
        tracing::warn!(partition, "a partition older than RETENTION_DAYS is in use and will be dropped later");
    }
    Ok(())
}

async fn delete_idle_quotas(worker: Arc<Worker>) -> Result<(), Error> {
    log_count("deleted unused quotas", outbox::forget_idle_quotas(&worker.pool).await?);
    Ok(())
}

async fn delete_old_reports(worker: Arc<Worker>) -> Result<(), Error> {
    let deleted = outbox::forget_reports(&worker.pool, retention(&worker)).await?;
    log_count("deleted old webhook tokens, and old events that match no job", deleted);
    Ok(())
}

async fn delete_old_history(worker: Arc<Worker>) -> Result<(), Error> {
    let after = retention(&worker);
    log_count(
        "deleted hourly delivery counts older than RETENTION_DAYS",
        outbox::forget_hours(&worker.pool, after).await?,
    );
    log_count(
        "deleted suppressions that ended more than RETENTION_DAYS ago",
        outbox::suppression::forget(&worker.pool, after).await?,
    );
    Ok(())
}

async fn delete_old_redirect_checks(worker: Arc<Worker>) -> Result<(), Error> {
    log_count("deleted redirect checks that are no longer valid", outbox::redirect_checks::forget(&worker.pool).await?);
    Ok(())
}

async fn roll_up(worker: Arc<Worker>) -> Result<(), Error> {
    while outbox::roll_up(&worker.pool).await? {}
    Ok(())
}

fn retention(worker: &Worker) -> Duration {
    Duration::from_hours(24 * worker.limits.retention_days)
}

/// Logs at info if `count` is not zero, otherwise at debug.
fn log_count<N: Display + Default + PartialEq>(message: &'static str, count: N) {
    if count == N::default() {
        tracing::debug!(%count, "{message}");
    } else {
        tracing::info!(%count, "{message}");
    }
}
