//! Quota rows that say nothing any more.

use sqlx::PgPool;

use crate::Error;

/// Rows deleted by one statement: it locks them only for a moment.
const AT_ONCE: u64 = 5_000;

/// Deletes the quota rows all of whose windows are unused, and tells how many.
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
              limit $1
              -- One that is locked is about to be used.
              for update skip locked
            )
            ",
            i64::try_from(AT_ONCE).unwrap_or(i64::MAX),
        )
        .execute(pool)
        .await?
        .rows_affected();
        forgotten += deleted;
        if deleted < AT_ONCE {
            return Ok(forgotten);
        }
    }
}
