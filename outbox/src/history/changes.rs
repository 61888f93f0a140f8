//! The latest changes of all jobs. A caller polls these statements with overlapping times, because a row becomes visible a
//! little later than its timestamp, and skips what it has seen. Each statement reads a bounded number of rows.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{first_id_at, list::ListedJob, story::ReportedEvent};
use crate::{
    model::{delivery_status::DeliveryStatus, job_id::JobId, job_state::JobState},
    postgres::error::{Error, in_time},
};

/// Maximum number of rows of each kind that one call returns.
const MOST: i64 = 5_000;

/// Open and ended jobs that were requested since a time, the oldest first. If there are more than `MOST`, only the
/// newest of them.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn requested(pool: &PgPool, since: DateTime<Utc>) -> Result<Vec<ListedJob>, Error> {
    let jobs = sqlx::query_as!(
        ListedJob,
        r#"
        select
          id as "id: JobId", state as "state: JobState", delivery as "delivery: DeliveryStatus", attempt, code, message, portal,
          recipient, request_id, created_at, nullif(finished_at, 'infinity') as finished_at
        from email_jobs
        where id >= $1
        order by id desc
        limit $2
        "#,
        first_id_at(since),
        MOST,
    );
    let mut jobs = in_time(async { Ok(jobs.fetch_all(pool).await?) }).await?;
    jobs.reverse();
    Ok(jobs)
}

/// Jobs that a worker holds, or has put back to wait since a time.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn attempted(pool: &PgPool, since: DateTime<Utc>) -> Result<Vec<JobId>, Error> {
    let ids = sqlx::query_scalar!(
        r#"
        select id as "id!: JobId"
        from (
          (
            select id, attempted_at from email_jobs
            where finished_at = 'infinity' and state = 'running'
            order by lease_expires_at desc
            limit $2
          )
          union all
          -- A job that was tried just now is usually due later than those that were tried before.
          (
            select id, attempted_at from email_jobs
            where finished_at = 'infinity' and state = 'retrying'
            order by run_at desc
            limit $2
          )
        ) as candidates
        where attempted_at >= $1
        "#,
        since,
        MOST,
    );
    in_time(async { Ok(ids.fetch_all(pool).await?) }).await
}

/// Jobs that ended in a span of time, in the order of their ends.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn ended(pool: &PgPool, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<ListedJob>, Error> {
    let jobs = sqlx::query_as!(
        ListedJob,
        r#"
        select
          id as "id: JobId", state as "state: JobState", delivery as "delivery: DeliveryStatus", attempt, code, message, portal,
          recipient, request_id, created_at, nullif(finished_at, 'infinity') as finished_at
        from email_jobs
        where finished_at >= $1 and finished_at <= $2
        order by finished_at
        limit $3
        "#,
        since,
        until,
        MOST,
    );
    in_time(async {
        let mut transaction = pool.begin().await?;
        allow_bitmap_scans(&mut transaction).await?;
        Ok(jobs.fetch_all(&mut *transaction).await?)
    })
    .await
}

/// Events that were stored in a span of time, in the order in which they were stored.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn reported(pool: &PgPool, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<Vec<ReportedEvent>, Error> {
    let events = sqlx::query_as!(
        ReportedEvent,
        r#"
        select
          job_id as "job_id: JobId", event, severity, reason, smtp_code, enhanced_code, message,
          delivery as "delivery: DeliveryStatus", occurred_at, received_at
        from email_events
        where received_at >= $1 and received_at <= $2
        order by received_at
        limit $3
        "#,
        since,
        until,
        MOST,
    );
    in_time(async {
        let mut transaction = pool.begin().await?;
        allow_bitmap_scans(&mut transaction).await?;
        Ok(events.fetch_all(&mut *transaction).await?)
    })
    .await
}

/// BRIN indexes, which locate a span of time, are read by bitmap scans only, and our sessions turn these off.
async fn allow_bitmap_scans(transaction: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("set local enable_bitmapscan = on").execute(transaction).await.map(drop)
}
