//! The hourly counts behind `email_delivery_by_domain`.

use std::time::Duration;

use sqlx::PgPool;

use crate::{Error, postgres::error::in_time};

/// Counts what has ended or was reported since the last time, by an hour at most. True if there is more: call it
/// again. Another worker's turn is nothing to wait for.
///
/// # Errors
/// [`Error::Database`]: nothing was counted.
pub async fn roll_up(pool: &PgPool) -> Result<bool, Error> {
    let more = sqlx::query_scalar!(r#"select email_roll_up() as "more!""#);
    in_time(async { Ok(more.fetch_one(pool).await?) }).await
}

/// Deletes counts of hours that long ago, and tells how many rows.
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
