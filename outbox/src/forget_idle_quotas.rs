//! Quota rows that say nothing any more.

use sqlx::PgPool;

use crate::Error;

/// Deletes the quota rows all of whose windows are unused, and tells how many.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_idle_quotas(pool: &PgPool) -> Result<u64, Error> {
    let forgotten = sqlx::query!(
        "
        delete from recipient_quotas
        where key in (
          select key from recipient_quotas
          where not exists (select from unnest(tats) as tat where tat > clock_timestamp())
          limit 10000
          -- One that is locked is about to be used.
          for update skip locked
        )
        ",
    )
    .execute(pool)
    .await?;
    Ok(forgotten.rows_affected())
}
