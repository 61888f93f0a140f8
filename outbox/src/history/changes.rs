//! The latest changes to all jobs. A row becomes visible a little later than its timestamp, so callers poll these
//! functions with overlapping time spans and skip the rows that they have already seen. Each function reads a bounded
//! number of rows.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{first_id_at, list::ListedJob, story::ReportedEvent};
use crate::{
    model::{delivery_status::DeliveryStatus, job_id::JobId, job_state::JobState},
    postgres::error::{Error, in_time},
};

/// Row limit of each `select` in this module.
const MOST: i64 = 5_000;

/// Returns the open and ended jobs that were requested since the given time, oldest first. If there are more than
/// `MOST`, it returns only the newest `MOST` of them.
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

/// Returns the ids of running and retrying jobs whose latest attempt started at or after `since`.
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
          -- There is no index on attempted_at. The later a job was attempted, the later it is usually due.
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

/// Returns the jobs that ended in a time span, in the order in which they ended.
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

/// Returns the Mailgun events that were stored in a time span, in the order in which they were stored.
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

/// Allows bitmap scans in this transaction. Our sessions turn bitmap scans off, but Postgres needs them to read the
/// BRIN indexes that locate a time span.
async fn allow_bitmap_scans(transaction: &mut sqlx::PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("set local enable_bitmapscan = on").execute(transaction).await.map(drop)
}
