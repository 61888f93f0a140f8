//! When a worker may claim a job although a service is stopped.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// Seconds between the probes of a stopped service; the last value repeats.
pub(super) const PROBE_INTERVALS: [i32; 3] = [1, 2, 5];

/// Takes the turn to probe: returns true if a service is stopped, its next probe is due and a job is queued. The caller may
/// then claim one job as a probe.
///
/// # Errors
/// [`Error::Database`].
pub async fn take_probe(pool: &PgPool) -> Result<bool, Error> {
    let taken = sqlx::query!(
        "
        with stopped as (
          -- Locked before it is looked at. Otherwise two workers could both find the probe due.
          select probe_at from upstreams where stopped_by is not null order by name for update
        )
        update upstreams
        set
          probes = probes + 1,
          probe_at = clock_timestamp() + make_interval(secs => ($1::int[])[least(probes + 2, cardinality($1::int[]))])
        where stopped_by is not null
          -- A turn without a job would only delay the next one.
          and exists (select from email_jobs_open where state = 'queued')
          and not exists (select from upstreams where paused_until > clock_timestamp())
          -- If both services are stopped, one job probes both, so they take their turns together.
          and (select min(probe_at) from stopped) <= clock_timestamp()
        ",
        &PROBE_INTERVALS[..],
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() > 0)
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
        where stopped_by is not null
          or paused_until > clock_timestamp()
        "#,
    )
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
