//! Workers check whether Supabase's redirect allow list accepts a callback. This module stores the results, which all
//! workers share.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// How long a callback counts as allowed. This time can be long: an operator rarely removes an entry from the allow
/// list, and the worker checks the redirect of each link anyway.
pub const ALLOWED_FOR: Duration = Duration::from_hours(1);

/// How long a callback counts as refused. This time is short, so that a new entry takes effect soon after an operator
/// adds it to the allow list.
pub const REFUSED_FOR: Duration = Duration::from_mins(1);

/// Maximum number of rows. A wildcard in `CALLBACK_ORIGINS` lets strangers make up origins, so the table needs a limit.
///
/// While the table is full, no new callback is stored until rows that are no longer valid have been deleted. A valid
/// row is never deleted to make room, because a stranger with enough made-up origins could then push out the portal's
/// own row. The portal's row is kept and can be renewed, and a callback without a row only costs extra requests to
/// Supabase. A worker makes at most four of these requests per minute, and it takes three requests to store a callback
/// as allowed. So a hundred workers would need more than an hour to fill the table.
const MAX_ROWS: i64 = 10_000;

/// How long the result of a check is valid.
#[must_use]
pub fn valid_for(is_allowed: bool) -> Duration {
    if is_allowed { ALLOWED_FOR } else { REFUSED_FOR }
}

/// The result of checking a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedirectCheck {
    /// Whether the allow list accepts the callback both without a query and with any `?next=`. If false, the list may
    /// still accept some of these URLs.
    pub is_allowed: bool,
    /// How much longer the result is valid.
    pub valid_for: Duration,
}

/// Returns the stored result of checking a callback. `None` if no result is stored, or if it is no longer valid.
///
/// # Errors
/// [`Error::Database`].
pub async fn find(pool: &PgPool, origin_and_path: &str) -> Result<Option<RedirectCheck>, Error> {
    let row = sqlx::query!(
        r#"
        select is_allowed, extract(epoch from clock_timestamp() - checked_at)::float8 as "age!"
        from redirect_checks
        where origin_and_path = $1
        "#,
        origin_and_path,
    )
    .fetch_optional(pool)
    .await?;
    Ok(row.and_then(|row| {
        // The age is negative if Postgres's clock has been set back. It then counts as zero.
        let age = Duration::try_from_secs_f64(row.age).unwrap_or_default();
        let valid_for = valid_for(row.is_allowed).checked_sub(age)?;
        Some(RedirectCheck { is_allowed: row.is_allowed, valid_for })
    }))
}

/// Stores the result of a check. Returns false if the result was not stored, because the table is full and the callback
/// has no row yet, or because `origin_and_path` has more than 2,048 bytes.
///
/// # Errors
/// [`Error::Database`].
pub async fn store(pool: &PgPool, origin_and_path: &str, is_allowed: bool) -> Result<bool, Error> {
    let stored = sqlx::query!(
        "
        insert into redirect_checks (origin_and_path, is_allowed)
        select $1, $2
        where octet_length($1) <= 2048
          -- Workers that insert at the same time may exceed the limit by one row each.
          and (select count(*) from redirect_checks where origin_and_path <> $1) < $3
        on conflict (origin_and_path) do update set is_allowed = excluded.is_allowed, checked_at = clock_timestamp()
        ",
        origin_and_path,
        is_allowed,
        MAX_ROWS,
    )
    .execute(pool)
    .await?;
    Ok(stored.rows_affected() == 1)
}

/// Deletes rows that are no longer valid. Returns the number of deleted rows.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget(pool: &PgPool) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "
        delete from redirect_checks
        where origin_and_path in (
          select origin_and_path from redirect_checks
          where checked_at < clock_timestamp() - make_interval(secs => case when is_allowed then $1::float8 else $2::float8 end)
          -- Skip rows that another worker is renewing or deleting.
          for update skip locked
        )
        ",
        ALLOWED_FOR.as_secs_f64(),
        REFUSED_FOR.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}
