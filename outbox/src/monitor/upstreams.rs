//! The state of the upstream services that all workers share: breakers and pauses, one row per service.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    model::{failure::Failure, upstream::Upstream},
    postgres::error::Error,
};

/// An open breaker: no job can succeed until an operator changes a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBreaker {
    /// The service.
    pub upstream: Upstream,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why.
    pub failure: Failure,
    /// Name of the setting to check.
    pub setting: String,
}

/// Seconds between the probes of an open breaker; the last value repeats. This allows at most ten probes in any minute.
const PROBE_INTERVALS: [i32; 6] = [1, 2, 5, 10, 20, 30];

/// Opens a breaker, or updates the reason of an open one. Returns true if it was closed or had another reason: then the
/// caller logs it, and no other worker does.
///
/// # Errors
/// [`Error::Database`].
pub async fn open_breaker(pool: &PgPool, upstream: Upstream, failure: &Failure, setting: &str) -> Result<bool, Error> {
    let opened = sqlx::query!(
        "
        update upstreams
        set
          open_since = coalesce(open_since, clock_timestamp()),
          code = $2,
          message = $3,
          setting = $4,
          probe_at = coalesce(probe_at, clock_timestamp() + make_interval(secs => $5))
        where name = $1
          and code is distinct from $2
        ",
        upstream.as_str(),
        failure.code,
        failure.message,
        setting,
        f64::from(PROBE_INTERVALS[0]),
    )
    .execute(pool)
    .await?;
    Ok(opened.rows_affected() == 1)
}

/// Closes a breaker after a success. Returns true if it was open, and then wakes all workers.
///
/// # Errors
/// [`Error::Database`].
pub async fn close_breaker(pool: &PgPool, upstream: Upstream) -> Result<bool, Error> {
    let closed = sqlx::query!(
        r#"
        with closed as (
          update upstreams
          set open_since = null, code = null, message = null, setting = null, probe_at = null, probes = 0
          where name = $1
            and open_since is not null
          returning name
        )
        select pg_notify('email_jobs', '') as "notified?" from closed
        "#,
        upstream.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(!closed.is_empty())
}

/// Returns the open breakers.
///
/// # Errors
/// [`Error::Database`].
pub async fn open_breakers(pool: &PgPool) -> Result<Vec<OpenBreaker>, Error> {
    let rows = sqlx::query!(
        r#"
        select name as "name: Upstream", open_since as "since!", code as "code!", message as "message!", setting as "setting!"
        from upstreams
        where open_since is not null
        order by name
        "#,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| OpenBreaker {
            upstream: row.name,
            since: row.since,
            failure: Failure { code: row.code, message: row.message },
            setting: row.setting,
        })
        .collect())
}

/// State of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamState {
    /// The service.
    pub upstream: Upstream,
    /// Whether its breaker is open.
    pub is_open: bool,
    /// Whether it asked for a pause that is still in force.
    pub is_paused: bool,
}

/// Returns the state of both services.
///
/// # Errors
/// [`Error::Database`].
pub async fn upstream_states(pool: &PgPool) -> Result<Vec<UpstreamState>, Error> {
    let rows = sqlx::query!(
        r#"
        select
          name as "name: Upstream",
          open_since is not null as "open!",
          coalesce(paused_until > clock_timestamp(), false) as "paused!"
        from upstreams
        order by name
        "#,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UpstreamState { upstream: row.name, is_open: row.open, is_paused: row.paused })
        .collect())
}

/// Takes the turn to probe: returns true if a breaker is open, its next probe is due and a job is queued. The caller may then
/// claim one job although the breaker is open.
///
/// # Errors
/// [`Error::Database`].
pub async fn take_probe(pool: &PgPool) -> Result<bool, Error> {
    let taken = sqlx::query!(
        "
        update upstreams
        set
          probes = probes + 1,
          probe_at = clock_timestamp() + make_interval(secs => ($1::int[])[least(probes + 2, cardinality($1::int[]))])
        where open_since is not null
          -- A turn without a job would only delay the next one.
          and exists (select from email_jobs_open where state = 'queued')
          and not exists (select from upstreams where paused_until > clock_timestamp())
          -- If both breakers are open, one job probes both, so they take their turns together.
          and (select min(probe_at) from upstreams where open_since is not null) <= clock_timestamp()
        ",
        &PROBE_INTERVALS[..],
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() > 0)
}

/// Pauses all claims and sends for a while, because the service asked for it. A pause is never shortened.
///
/// # Errors
/// [`Error::Database`].
pub async fn pause(pool: &PgPool, upstream: Upstream, time: Duration) -> Result<(), Error> {
    sqlx::query!(
        "
        update upstreams
        set paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => $2))
        where name = $1
        ",
        upstream.as_str(),
        time.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Time until a claim can succeed again: until the next probe or the end of a pause. `None` if claims are not stopped.
///
/// # Errors
/// [`Error::Database`].
pub async fn stopped_for(pool: &PgPool) -> Result<Option<Duration>, Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from max(greatest(probe_at, paused_until)) - clock_timestamp())::float8
        from upstreams
        where open_since is not null
          or paused_until > clock_timestamp()
        "#,
    )
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
