//! The throughput of the workers, and the queue load that the api checks before it accepts a request.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// Publishes the number of jobs that a worker ends per second, measured while there was a backlog.
///
/// # Errors
/// [`Error::Database`].
pub async fn publish_capacity(pool: &PgPool, worker: &str, jobs_per_second: f64) -> Result<(), Error> {
    sqlx::query!(
        "
        with gone as (
          delete from email_workers where measured_at < clock_timestamp() - interval '1 day'
        )
        insert into email_workers (name, jobs_per_second)
        values ($1, $2)
        on conflict (name) do update set jobs_per_second = excluded.jobs_per_second, measured_at = clock_timestamp()
        ",
        worker,
        jobs_per_second,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Load of the queue.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Number of waiting jobs (queued or retrying).
    pub waiting: u32,
    /// Number of jobs that all workers together finish per second; `None` if no worker had a backlog in the last 30 seconds.
    pub jobs_per_second: Option<f64>,
    /// Whether a breaker is open or the slow pace is in force, so that only probes are mailed.
    pub is_stopped: bool,
    /// Time until the earliest deadline of a waiting job that no upstream has failed for; `None` if there is no such job.
    pub time_left: Option<Duration>,
}

/// Reads the load. Waiting jobs are counted up to `count_to`.
///
/// # Errors
/// [`Error::Database`].
pub async fn load(pool: &PgPool, count_to: u32) -> Result<Load, Error> {
    let row = sqlx::query!(
        r#"
        select waiting as "waiting!", jobs_per_second, is_stopped as "is_stopped!", time_left
        from email_admission($1)
        "#,
        i64::from(count_to),
    )
    .fetch_one(pool)
    .await?;
    Ok(Load {
        waiting: u32::try_from(row.waiting).unwrap_or(u32::MAX),
        jobs_per_second: row.jobs_per_second,
        is_stopped: row.is_stopped,
        time_left: row.time_left.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()),
    })
}
