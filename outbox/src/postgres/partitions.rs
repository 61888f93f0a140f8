//! The day partitions of the history. They are created a week ahead, and dropped when they are older than the
//! retention.
//!
//! The api and the worker both create partitions, because both write to the history, and a missing partition would
//! cause an outage of the api. The date comes from Postgres and not from this machine, so that a machine whose clock is
//! a month ahead cannot drop the whole history.

use sqlx::{PgConnection, PgPool};

use super::error::Error;

/// Number of days after today for which partitions exist.
const DAYS_AHEAD: i32 = 7;

/// Creates the missing partitions for the days from yesterday to a week ahead.
///
/// # Errors
/// [`Error::Database`].
pub async fn make(pool: &PgPool) -> Result<(), Error> {
    Ok(make_on(&mut *pool.acquire().await?).await?)
}

pub(crate) async fn make_on(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select email_make_partitions($1)", DAYS_AHEAD).execute(connection).await.map(drop)
}

/// The result of [`drop_old`].
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Names of dropped partitions.
    pub names: Vec<String>,
    /// Name of the partition at which the call stopped, because a long query is reading it. A later call drops this
    /// partition and the partitions after it.
    pub in_use: Option<String>,
}

/// Drops the partitions of days that ended more than `retention_days` days ago.
///
/// # Errors
/// [`Error::Database`]. The next call drops the remaining partitions.
pub async fn drop_old(pool: &PgPool, retention_days: u64) -> Result<Dropped, Error> {
    let retention_days = i32::try_from(retention_days).unwrap_or(i32::MAX);
    let mut dropped = Dropped::default();
    // Drop one partition per transaction: each drop blocks other statements for a moment, and a single transaction
    // would block them until all partitions are dropped.
    loop {
        let next = sqlx::query!(
            r#"select name as "name!", is_dropped as "is_dropped!" from email_drop_partition($1)"#,
            retention_days,
        )
        .fetch_optional(pool)
        .await?;
        match next {
            Some(day) if day.is_dropped => dropped.names.push(day.name),
            Some(day) => {
                dropped.in_use = Some(day.name);
                return Ok(dropped);
            }
            None => return Ok(dropped),
        }
    }
}
