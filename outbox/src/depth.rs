//! How many jobs wait: what the door looks at before it accepts one more.

use sqlx::PgPool;

use crate::Error;

/// Jobs that wait for a worker (queued or retrying), counted up to `at_most`, so that a look costs the same
/// however long the queue.
///
/// # Errors
/// [`Error::Database`].
pub async fn waiting_jobs(pool: &PgPool, at_most: i64) -> Result<i64, Error> {
    let waiting = sqlx::query_scalar!(
        r#"
        select count(*) as "waiting!"
        from (
          select from email_jobs_open
          where state in ('queued', 'retrying')
          limit $1
        ) as counted
        "#,
        at_most,
    )
    .fetch_one(pool)
    .await?;
    Ok(waiting)
}
