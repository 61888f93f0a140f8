//! What operators read about jobs: lists, the story of one job, and the latest changes. All statements are read-only,
//! and the role `magic_link_viewer` may run them. No statement reads the whole history, however many jobs there are.

pub mod changes;
pub mod list;
pub mod story;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::postgres::error::{Error, in_time};

/// The current time by Postgres's clock.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn now(pool: &PgPool) -> Result<DateTime<Utc>, Error> {
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#);
    in_time(async { Ok(now.fetch_one(pool).await?) }).await
}

/// A lower bound for the ids of jobs added at or after this time. Job ids are UUIDv7s, which start with the time.
fn first_id_at(time: DateTime<Utc>) -> Uuid {
    let milliseconds = u128::try_from(time.timestamp_millis()).unwrap_or(0) & 0xffff_ffff_ffff;
    Uuid::from_u128(milliseconds << 80)
}

/// The time at the start of a UUIDv7. `None` for other versions of UUID.
fn time_of(id: Uuid) -> Option<DateTime<Utc>> {
    if id.get_version_num() != 7 {
        return None;
    }
    i64::try_from(id.as_u128() >> 80).ok().and_then(DateTime::from_timestamp_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuidv7_contains_its_time() {
        let id = Uuid::now_v7();
        let time = time_of(id).unwrap();
        assert!((Utc::now() - time).num_seconds() < 5, "{time}");
        assert!(first_id_at(time) <= id && id < first_id_at(time + chrono::TimeDelta::milliseconds(1)));
        assert_eq!(time_of(Uuid::nil()), None);
    }
}
