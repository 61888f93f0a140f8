//! The two ways in which a service is stopped: the breaker and the slow pace. In both, workers claim only one job at a time, as a
//! probe.

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
    /// The breaker: the service refuses everybody, and an operator must act.
    Breaker,
    /// The slow pace: the service fails for everybody with 5xx or does not answer.
    SlowPace,
}

/// What stopped a service. This determines what may resume it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum StoppedBy {
    /// A response that means that a setting is wrong.
    Answer,
    /// A failed check call. A later check call that succeeds resumes the service.
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
    /// Whether an operator must act.
    pub kind: StopKind,
    /// The failure of the call.
    pub failure: &'a Failure,
    /// Name of the setting to check.
    pub setting: &'a str,
}

/// A stopped service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The service.
    pub upstream: Upstream,
    /// Whether an operator must act.
    pub kind: StopKind,
    /// When it was stopped.
    pub since: DateTime<Utc>,
    /// Why it was stopped.
    pub failure: Failure,
    /// Name of the setting to check.
    pub setting: String,
}

/// Stops a service after a call that began at `began_at` and failed, or updates the reason if it is already stopped. Does
/// nothing if a call that began later has resumed the service. Gives back the attempts that jobs have used up on failures of
/// this service that seemed to concern only one recipient, and clears the suspects.
///
/// Returns true if the service was not stopped before, or was stopped for another reason, so that only one caller logs the
/// stop.
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
    // The connection is acquired before `elapsed` is read. Otherwise the wait for a connection would make the call look more
    // recent.
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
            -- If a check call fails later, a check call may resume the service.
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
        -- A failure that concerns everybody must not use up a job's attempts.
        given_back as (
          update email_jobs_open as job
          set
            attempt = greatest(attempt - suspect_attempts, 0),
            suspect_attempts = 0,
            -- With Mailgun the delay stays, because each attempt may send another copy of the mail.
            run_at = case when name = 'supabase' then least(run_at, clock_timestamp()) else run_at end
          from before
          where applies
            and before.stopped_by is null
            and job.state in ('queued', 'retrying')
            and job.suspected_upstream = name
            and job.suspect_attempts > 0
            -- Failures of a hook did not stop the service.
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

/// Resumes a service after a call that began at `began_at` and succeeded, if it was stopped before the call began.
/// `is_check` says that the call was a check call: it resumes the service only if a check call stopped it. If the service
/// was resumed, wakes all workers and returns true.
///
/// # Errors
/// [`Error::Database`].
pub async fn resume(pool: &PgPool, upstream: Upstream, began_at: Instant, is_check: bool) -> Result<bool, Error> {
    // The connection is acquired before `elapsed` is read. Otherwise the wait for a connection would make the call look more
    // recent.
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
        kind: if row.is_open { StopKind::Breaker } else { StopKind::SlowPace },
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
    /// Whether its breaker is open.
    pub is_open: bool,
    /// Whether its slow pace is in force.
    pub is_slow: bool,
    /// Whether it requested a pause that is still in force.
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
