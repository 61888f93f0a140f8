//! Returns running jobs to the queue: for a retry, for another worker, or to wait while a breaker is open.

use std::{collections::HashMap, time::Duration};

use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

use super::step_records::{StepColumns, query_with_steps};
use crate::{
    model::{
        failure::Failure,
        job_id::{Lease, in_lock_order, lease_columns},
        step::StepRecord,
        upstream::Upstream,
    },
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// A running job to requeue.
#[derive(Debug, Clone)]
pub struct Requeue {
    /// The worker's lease, which the requeue releases.
    pub lease: Lease,
    /// Time until the job may be claimed again. Zero means immediately.
    pub delay: Duration,
    /// Why the job is requeued. Required if `delay` is not zero, because a retrying job must have a reason.
    pub failure: Option<Failure>,
    /// Whether the attempt does not count, because it reached no upstream or could not have succeeded.
    pub is_uncounted: bool,
    /// The upstream that failed, if the failure may concern only this recipient. While the upstream is stopped, other
    /// jobs are then probed first.
    pub suspected: Option<SuspectedFailure>,
    /// The step after which the job is requeued.
    pub step: Option<StepRecord>,
}

/// A call that failed for a reason that may concern only this recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SuspectedFailure {
    /// The upstream that failed.
    pub upstream: Upstream,
    /// Whether the upstream refused the call with a 4xx status. The job keeps the time of its first such refusal.
    pub is_refusal: bool,
}

/// Outcome of a requeue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requeued {
    /// The job is waiting again.
    Waiting,
    /// A newer request for the recipient is already waiting, so the job has ended as superseded.
    Superseded,
    /// An operator cancelled the job while it was running, so it has ended as cancelled.
    Cancelled,
    /// The job was not changed: the lease is stale, or an operator cancelled the job during the write.
    LeaseLost,
}

/// Requeues running jobs and returns what happened to each, in the order of `jobs`.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. Jobs that are still running are rescued when their leases expire.
pub async fn requeue(pool: &PgPool, jobs: &[Requeue]) -> Result<Vec<Requeued>, Error> {
    requeue_in(&mut Session::of(pool), jobs).await
}

pub(crate) async fn requeue_in(session: &mut Session, jobs: &[Requeue]) -> Result<Vec<Requeued>, Error> {
    let sorted = in_lock_order(jobs, |job| job.lease.job);
    let outcomes = persist!(session, |connection, is_retry| async {
        let mut transaction = connection.begin().await?;
        let (ids, tokens) = lease_columns(sorted.iter().map(|job| &job.lease));
        lock_recipients(&mut transaction, &ids).await?;
        let outcomes = move_back(&mut transaction, &sorted, &ids, &tokens, is_retry).await?;
        transaction.commit().await?;
        Ok::<_, sqlx::Error>(outcomes)
    })?;
    Ok(jobs.iter().map(|job| outcomes.get(&job.lease.job.0).copied().unwrap_or(Requeued::LeaseLost)).collect())
}

/// Locks the recipients' quota rows, in the same order as an enqueue. A newer request that commits later then finds the
/// job waiting, and a newer request that has already committed is visible to the next statement.
async fn lock_recipients(connection: &mut PgConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into recipient_quotas (key)
        select mailbox from email_jobs_open where id = any($1)
        group by mailbox
        -- Lock the rows in the same order as an enqueue does: byte order, whatever the database's collation.
        order by mailbox collate "C"
        on conflict (key) do update set key = excluded.key
        "#,
        ids,
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[expect(clippy::too_many_lines, reason = "one statement")]
async fn move_back(
    connection: &mut PgConnection,
    jobs: &[&Requeue],
    ids: &[Uuid],
    tokens: &[i64],
    is_retry: bool,
) -> Result<HashMap<Uuid, Requeued>, sqlx::Error> {
    let delays: Vec<f64> = jobs.iter().map(|job| job.delay.as_secs_f64()).collect();
    let codes: Vec<Option<String>> = jobs.iter().map(|job| job.failure.as_ref().map(|f| f.code.clone())).collect();
    let messages: Vec<Option<String>> =
        jobs.iter().map(|job| job.failure.as_ref().map(|f| f.message.clone())).collect();
    let uncounted: Vec<bool> = jobs.iter().map(|job| job.is_uncounted).collect();
    let upstreams: Vec<Option<&str>> = jobs.iter().map(|job| Some(job.suspected?.upstream.as_str())).collect();
    let refused: Vec<bool> = jobs.iter().map(|job| job.suspected.is_some_and(|failure| failure.is_refusal)).collect();
    let steps = StepColumns::collect(jobs.iter().map(|job| (job.lease.job, job.step.as_ref())));
    let rows = query_with_steps!(
        steps: steps,
        may_exist: is_retry,
        sql: r#"
        mine as (
          select
            given.id,
            given.lease_token,
            given.delay,
            given.code,
            given.message,
            coalesce(given.upstream, job.suspected_upstream) as upstream,
            job.recipient,
            job.seq,
            case when given.upstream is null then job.probed_at else clock_timestamp() end as probed_at,
            case
              when given.upstream is null then job.refused_at
              -- Keep the time of the first refusal by this upstream.
              when job.refused_at is not null and job.suspected_upstream = given.upstream then job.refused_at
              when given.refused then clock_timestamp()
            end as refused_at,
            case
              when is_stopped then 1 + spent_before
              else given.uncounted::int
            end as given_back,
            case
              when given.upstream is null then job.suspect_attempts
              when is_stopped then 0
              else spent_before + (not given.uncounted)::int
            end as suspect_attempts,
            case
              when job.cancelled_at is not null then 'cancelled'
              when exists (
                select from email_jobs_open as newer
                where newer.recipient = job.recipient
                  and (newer.state = 'running') is false
                  and newer.seq > job.seq
              ) then 'superseded'
            end as end_state
          from unnest($12::uuid[], $13::bigint[], $14::float8[], $15::text[], $16::text[], $17::bool[], $18::text[], $19::bool[])
            as given (id, lease_token, delay, code, message, uncounted, upstream, refused)
          join email_jobs_open as job using (id, lease_token)
          -- A stopped upstream fails for every recipient, so these failures must not use up attempts.
          cross join lateral (
            select exists (
              select from upstreams where name = given.upstream and stopped_by is not null
            ) as is_stopped
          ) as now
          cross join lateral (
            select case when job.suspected_upstream = given.upstream then job.suspect_attempts else 0 end as spent_before
          ) as spent
        ),
        gone as (
          delete from email_jobs_open as job
          using mine
          where job.id = mine.id
            and job.lease_token = mine.lease_token
            and end_state is not null
          returning job, end_state
        ),
        history as (
          insert into email_jobs
          select ended.*
          from gone,
            email_job_ended(
              gone.job,
              gone.end_state,
              case gone.end_state when 'cancelled' then 'cancelled' else 'newer_request' end,
              case gone.end_state
                when 'cancelled' then 'An operator cancelled it while a worker was running it.'
                else 'A newer request of this recipient took its place.'
              end,
              statement_timestamp()
            ) as ended
          returning id, state
        ),
        -- Copy the times of the recipient's last probe and first refusal to the newer request, so that it is not probed
        -- next and still counts as refused.
        inherited as (
          update email_jobs_open as newer
          set probed_at = mine.probed_at, refused_at = mine.refused_at, suspected_upstream = mine.upstream
          from mine
          where end_state is not null
            and newer.recipient = mine.recipient
            and (newer.state = 'running') is false
            and newer.seq > mine.seq
        ),
        waiting as (
          update email_jobs_open as job
          set
            state = case when mine.delay > 0 then 'retrying' else 'queued' end,
            run_at = clock_timestamp() + make_interval(secs => mine.delay),
            code = coalesce(mine.code, job.code),
            message = coalesce(mine.message, job.message),
            attempt = greatest(job.attempt - mine.given_back, 0),
            suspect_attempts = mine.suspect_attempts,
            suspected_upstream = mine.upstream,
            probed_at = mine.probed_at,
            refused_at = mine.refused_at,
            lease_token = null,
            lease_expires_at = null
          from mine
          where job.id = mine.id
            and job.lease_token = mine.lease_token
            and end_state is null
            -- An operator may have cancelled the job since `mine` was read. If so, a rescue ends the job.
            and job.cancelled_at is null
          returning job.id, job.state
        ),
        woken as (
          select pg_notify('email_jobs', '') from (select from waiting where state = 'queued' limit 1) as any_queued
        )
        select id as "id!", null as end_state, (select count(*) from woken) as woken from waiting
        union all
        select id, state, 0 from history
        "#,
        ids,
        tokens,
        &delays,
        &codes as &[Option<String>],
        &messages as &[Option<String>],
        &uncounted,
        &upstreams as &[Option<&str>],
        &refused,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let requeued = match row.end_state.as_deref() {
                None => Requeued::Waiting,
                Some("cancelled") => Requeued::Cancelled,
                Some(_) => Requeued::Superseded,
            };
            (row.id, requeued)
        })
        .collect())
}
