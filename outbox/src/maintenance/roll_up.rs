//! The hourly counts behind `email_delivery_by_domain`.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::{Error, in_time};

/// Counts the jobs and reports since the last call, for at most one hour. Returns true if there is more to count: the caller
/// should then call this function again. Returns false at once if another worker is counting.
///
/// # Errors
/// [`Error::Database`]: nothing was counted.
pub async fn roll_up(pool: &PgPool) -> Result<bool, Error> {
    let more = sqlx::query_scalar!(r#"select email_roll_up() as "more!""#);
    in_time(async { Ok(more.fetch_one(pool).await?) }).await
}

/// Deletes counts of hours older than `after`, and returns the number of rows.
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
