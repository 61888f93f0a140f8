//! Deletes quota rows that no longer limit anything.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// Maximum value of the `DUPLICATE_WINDOW` setting.
pub const LONGEST_DUPLICATE_WINDOW: Duration = Duration::from_hours(1);

/// Maximum number of rows that one statement deletes, so that the rows are locked only briefly.
const BATCH: u64 = 5_000;

/// Deletes the quota rows whose windows are all unused and whose last request is so old that a new request cannot be
/// its duplicate. Returns the number of deleted rows.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_idle_quotas(pool: &PgPool) -> Result<u64, Error> {
    let mut forgotten = 0;
    loop {
        let deleted = sqlx::query!(
            "
            delete from recipient_quotas
            where key in (
              select key from recipient_quotas
              where not exists (select from unnest(tats) as tat where tat > clock_timestamp())
                and not exists (
                  select
                  from jsonb_each(clients) as client, jsonb_array_elements_text(client.value) as tat
                  where tat::timestamptz > clock_timestamp()
                )
                and (last_at is null or last_at < clock_timestamp() - make_interval(secs => $2))
              limit $1
              -- A request or another worker is using a row that is locked.
              for update skip locked
            )
            ",
            i64::try_from(BATCH).unwrap_or(i64::MAX),
            LONGEST_DUPLICATE_WINDOW.as_secs_f64(),
        )
        .execute(pool)
        .await?
        .rows_affected();
        forgotten += deleted;
        if deleted < BATCH {
            return Ok(forgotten);
        }
    }
}
