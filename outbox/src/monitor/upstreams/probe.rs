//! Probes: single jobs that workers claim while a service is stopped, to find out whether the service works again.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// Seconds between the probes of a stopped service. The last value repeats.
pub(super) const PROBE_INTERVALS: [i32; 3] = [1, 2, 5];

/// The order in which jobs are probed for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOrder {
    /// The job that has waited longest.
    OldestFirst,
    /// The job that was requested last. If suspects stopped the service, every second probe uses this order: with only
    /// [`OldestFirst`](Self::OldestFirst), a job behind the jobs of thirty refused recipients would wait for thirty
    /// probes.
    NewestFirst,
}

/// Claims the next probe if a service is stopped, its next probe is due, a job is queued, and no pause is in force. The
/// caller may then claim one job as the probe. Returns `None` otherwise.
///
/// # Errors
/// [`Error::Database`].
pub async fn take_probe(pool: &PgPool) -> Result<Option<ProbeOrder>, Error> {
    let is_newest_first = sqlx::query_scalar!(
        r#"
        with stopped as (
          -- Lock the rows before reading them: otherwise, two workers could both find that the probe is due.
          select probe_at from upstreams where stopped_by is not null order by name for update
        )
        update upstreams
        set
          probes = probes + 1,
          probe_at = clock_timestamp() + make_interval(secs => ($1::int[])[least(probes + 2, cardinality($1::int[]))])
        where stopped_by is not null
          -- If no job is queued, taking the turn would only delay the next probe.
          and exists (select from email_jobs_open where state = 'queued')
          and not exists (select from upstreams where paused_until > clock_timestamp())
          and not exists (select from operator_pauses where portal is null and ends_at > clock_timestamp())
          -- If both services are stopped, one job probes both of them, at the earlier of their two probe times.
          and (select min(probe_at) from stopped) <= clock_timestamp()
        returning stopped_by = 'suspects' and probes % 2 = 1 as "is_newest_first!"
        "#,
        &PROBE_INTERVALS[..],
    )
    .fetch_all(pool)
    .await?;
    let order = |is_newest_first| if is_newest_first { ProbeOrder::NewestFirst } else { ProbeOrder::OldestFirst };
    Ok(is_newest_first.into_iter().reduce(|one, other| one || other).map(order))
}

/// Time until a claim can succeed again: until the next probe, or until the end of a pause that a service requested or
/// that an operator set for all portals, whichever is later. `None` if claims are not stopped.
///
/// # Errors
/// [`Error::Database`].
pub async fn stopped_for(pool: &PgPool) -> Result<Option<Duration>, Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from max(until) - clock_timestamp())::float8
        from (
          select greatest(probe_at, paused_until) as until
          from upstreams
          where stopped_by is not null
            or paused_until > clock_timestamp()
          union all
          select ends_at from operator_pauses where portal is null and ends_at > clock_timestamp()
        ) as stops
        "#,
    )
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
}
