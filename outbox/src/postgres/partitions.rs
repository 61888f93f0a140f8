//! The days of the history: made a week ahead, dropped when their time is up.
//!
//! Both programs make them, since both write history: one that is missing would be an outage of the api. The day is
//! Postgres's, not this machine's: a clock that is a month ahead would drop the whole history.

use sqlx::{PgConnection, PgPool};

use crate::Error;

/// Days ahead of today for which partitions stand ready.
const DAYS_AHEAD: i32 = 7;

/// Makes the partitions that are missing from yesterday to a week ahead.
///
/// # Errors
/// [`Error::Database`].
pub async fn make(pool: &PgPool) -> Result<(), Error> {
    Ok(make_on(&mut *pool.acquire().await?).await?)
}

pub(crate) async fn make_on(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query!("select email_make_partitions($1)", DAYS_AHEAD).execute(connection).await.map(drop)
}

/// What became of days whose time was up.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Partitions that are gone.
    pub gone: Vec<String>,
    /// One that somebody reads for a long time: it, and those after it, go at the next call.
    pub in_use: Option<String>,
}

/// Drops the partitions of days that ended more than `retention_days` ago.
///
/// # Errors
/// [`Error::Database`]. What was begun goes on at the next call.
pub async fn drop_old(pool: &PgPool, retention_days: u64) -> Result<Dropped, Error> {
    let retention_days = i32::try_from(retention_days).unwrap_or(i32::MAX);
    let mut dropped = Dropped::default();
    // One at a time: each holds up everybody for a moment, and all together would for longer.
    loop {
        let next = sqlx::query!(
            r#"select name as "name!", is_dropped as "is_dropped!" from email_drop_partition($1)"#,
            retention_days,
        )
        .fetch_optional(pool)
        .await?;
        match next {
            Some(day) if day.is_dropped => dropped.gone.push(day.name),
            Some(day) => {
                dropped.in_use = Some(day.name);
                return Ok(dropped);
            }
            None => return Ok(dropped),
        }
    }
}
