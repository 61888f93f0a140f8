//! The two ways in which a service is stopped: the breaker and slow mode. In both, workers claim only one job at a
//! time, as a probe.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use tokio::time::Instant;

use super::probe::PROBE_INTERVALS;
use crate::{
    model::{failure::Failure, upstream::Upstream},
    postgres::error::Error,
};

/// How a service is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopKind {
    /// The breaker: the service refuses all requests, and an operator must act.
    Breaker,
    /// Slow mode: the service fails for all recipients, for example with a 5xx status or without a response.
    SlowMode,
}

/// What stopped a service. This determines which successful calls resume the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum StoppedBy {
    /// A response that shows that a setting is wrong.
    Answer,
    /// A failed check call. A later successful check call resumes the service.
    Check,
    /// Failures for three recipients without a success in between.
    Suspects,
}

impl StoppedBy {
    /// The value in `upstreams.stopped_by`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Check => "check",
            Self::Suspects => "suspects",
        }
    }
}

/// Why a service is stopped.
#[derive(Debug, Clone, Copy)]
pub struct StopReason<'a> {
    /// Whether the breaker or slow mode stops the service.
    pub kind: StopKind,
    /// Why the call to the service failed.
    pub failure: &'a Failure,
    /// Name of the setting that an operator should check.
    pub setting: &'a str,
}

/// A stopped service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The service.
    pub upstream: Upstream,
    /// Whether the breaker or slow mode stops the service.
    pub kind: StopKind,
    /// When the service was stopped.
    pub since: DateTime<Utc>,
    /// Why the service is stopped.
    pub failure: Failure,
    /// Name of the setting that an operator should check.
    pub setting: String,
}

/// Stops a service after a failed call that began at `began_at`, or updates the reason if the service is already
/// stopped. Does nothing if a call that began later has resumed the service.
///
/// Also clears the suspects. If the service was not already stopped, waiting jobs get back the attempts that they used
/// up while the service's failures seemed to concern only single recipients.
///
/// Returns true if the service was not already stopped, or was stopped for another reason, so that only one caller logs
/// the stop.
///
/// # Errors
/// [`Error::Database`].
pub async fn stop(
    pool: &PgPool,
    upstream: Upstream,
    by: StoppedBy,
    began_at: Instant,
    reason: &StopReason<'_>,
) -> Result<bool, Error> {
    let StopReason { kind, failure, setting } = *reason;
    // Acquire the connection before calling `elapsed`: otherwise, the wait for a connection would make the call look
    // more recent.
    let mut connection = pool.acquire().await?;
    let stopped = sqlx::query_scalar!(
        r#"
        with before as (
          select
            name,
            stopped_by,
            code,
            coalesce(resumed_at <= clock_timestamp() - make_interval(secs => $8), true) as applies
          from upstreams
          where name = $1
          for update
        ),
        stopped as (
          update upstreams
          set
            open_since = case when $2 then coalesce(open_since, clock_timestamp()) end,
            slow_since = case when not $2 then coalesce(slow_since, clock_timestamp()) end,
            -- Once a check call has failed, a successful check call resumes the service, whatever stopped it first.
            stopped_by = case when $3 = 'check' or before.stopped_by is null then $3 else before.stopped_by end,
            code = $4,
            message = $5,
            setting = $6,
            probe_at = coalesce(probe_at, clock_timestamp() + make_interval(secs => $7)),
            suspects = '{}',
            suspected_since = null
          from before
          where upstreams.name = before.name
            and applies
        ),
        -- A failure that affects all recipients must not use up a job's attempts.
        given_back as (
          update email_jobs_open as job
          set
            attempt = greatest(attempt - suspect_attempts, 0),
            suspect_attempts = 0,
            -- For Mailgun, keep the delay, because each attempt may send another copy of the mail.
            run_at = case when name = 'supabase' then least(run_at, clock_timestamp()) else run_at end
          from before
          where applies
            and before.stopped_by is null
            and job.state in ('queued', 'retrying')
            and job.suspected_upstream = name
            and job.suspect_attempts > 0
            -- A failing hook does not stop the service, so attempts that failed because of a hook are not given back.
            and job.code is distinct from 'hook_failed'
        )
        select applies and code is distinct from $4 as "is_new!" from before
        "#,
        upstream.as_str(),
        kind == StopKind::Breaker,
        by.as_str(),
        failure.code,
        failure.message,
        setting,
        f64::from(PROBE_INTERVALS[0]),
        began_at.elapsed().as_secs_f64(),
    )
    .fetch_one(&mut *connection)
    .await?;
    Ok(stopped)
}

/// Resumes a service after a successful call that began at `began_at`, if the service was stopped before the call
/// began. If `is_check` is true, the call was a check call, which resumes the service only if it is stopped by
/// [`StoppedBy::Check`]. Wakes all workers and returns true if the service was resumed.
///
/// # Errors
/// [`Error::Database`].
pub async fn resume(pool: &PgPool, upstream: Upstream, began_at: Instant, is_check: bool) -> Result<bool, Error> {
    // Acquire the connection before calling `elapsed`: otherwise, the wait for a connection would make the call look
    // more recent.
    let mut connection = pool.acquire().await?;
    let resumed = sqlx::query!(
        r#"
        with resumed as (
          update upstreams
          set
            open_since = null, slow_since = null, stopped_by = null, code = null, message = null, setting = null,
            probe_at = null, probes = 0, resumed_at = clock_timestamp() - make_interval(secs => $2)
          where name = $1
            and coalesce(open_since, slow_since) < clock_timestamp() - make_interval(secs => $2)
            and (stopped_by = 'check' or not $3)
          returning name
        )
        select pg_notify('email_jobs', '') as "notified?" from resumed
        "#,
        upstream.as_str(),
        began_at.elapsed().as_secs_f64(),
        is_check,
    )
    .fetch_all(&mut *connection)
    .await?;
    Ok(!resumed.is_empty())
}

/// Returns the stopped services.
///
/// # Errors
/// [`Error::Database`].
pub async fn stops(pool: &PgPool) -> Result<Vec<Stop>, Error> {
    let rows = sqlx::query!(
        r#"
        select
          name as "name: Upstream",
          open_since is not null as "is_open!",
          coalesce(open_since, slow_since) as "since!",
          code as "code!",
          message as "message!",
          setting as "setting!"
        from upstreams
        where stopped_by is not null
        order by name
        "#,
    )
    .fetch_all(pool)
    .await?;
    let stops = rows.into_iter().map(|row| Stop {
        upstream: row.name,
        kind: if row.is_open { StopKind::Breaker } else { StopKind::SlowMode },
        since: row.since,
        failure: Failure { code: row.code, message: row.message },
        setting: row.setting,
    });
    Ok(stops.collect())
}

/// Whether a service is stopped.
///
/// # Errors
/// [`Error::Database`].
pub async fn is_stopped(pool: &PgPool, upstream: Upstream) -> Result<bool, Error> {
    Ok(stops(pool).await?.iter().any(|stop| stop.upstream == upstream))
}

/// State of a service, for the gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpstreamState {
    /// The service.
    pub upstream: Upstream,
    /// Whether the service's breaker is open.
    pub is_open: bool,
    /// Whether slow mode is on.
    pub is_slow: bool,
    /// Whether the service requested a pause that has not ended yet.
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
          open_since is not null as "is_open!",
          slow_since is not null as "is_slow!",
          coalesce(paused_until > clock_timestamp(), false) as "is_paused!"
        from upstreams
        order by name
        "#,
    )
    .fetch_all(pool)
    .await?;
    let states = rows.into_iter().map(|row| UpstreamState {
        upstream: row.name,
        is_open: row.is_open,
        is_slow: row.is_slow,
        is_paused: row.is_paused,
    });
    Ok(states.collect())
}
