//! The hourly counts that the view `email_delivery_by_domain` sums up.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::{Error, in_time};

/// Counts the sent jobs and the Mailgun events that have not been counted yet: at most one hour of them per call, and
/// none from the last 15 seconds. Returns true if there is more to count, in which case the caller should call this
/// function again. Returns false immediately if another worker is counting.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. The next call counts what was not counted.
pub async fn roll_up(pool: &PgPool) -> Result<bool, Error> {
    let more = sqlx::query_scalar!(r#"select email_roll_up() as "more!""#);
    in_time(async { Ok(more.fetch_one(pool).await?) }).await
}

/// Deletes the counts for hours that began more than `after` ago, and returns the number of deleted rows.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_hours(pool: &PgPool, after: Duration) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from email_delivery_hours where hour < clock_timestamp() - make_interval(secs => $1)",
        after.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
