//! How fast jobs are worked off, told by workers; and what the door looks at before it takes more of them.

use std::time::Duration;

use sqlx::PgPool;

use crate::Error;

/// Tells how many jobs a worker ends a second, measured while it had more than it could take.
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

/// How the outbox stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Jobs that wait for a worker (queued or retrying).
    pub waiting: u32,
    /// Jobs that all workers together end a second; none where no backlog has shown it of late.
    pub jobs_per_second: Option<f64>,
    /// Whether a breaker is open: nothing goes out until an operator acts.
    pub is_stopped: bool,
    /// Until the earliest deadline of the jobs that wait; none if none does.
    pub time_left: Option<Duration>,
}

/// Looks how the outbox stands. Waiting jobs are counted up to `count_to`.
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
