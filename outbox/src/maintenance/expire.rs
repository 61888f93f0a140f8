//! Ends jobs that are still waiting after their deadline, because their sign-in mails would come too late to be useful.

use std::time::Duration;

use sqlx::PgPool;

use crate::{
    model::{ended_job::EndedJob, job_id::JobId},
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// Maximum number of jobs that one statement ends.
const BATCH: usize = 1_000;

/// Ends the waiting jobs whose deadline has passed, and returns them. Does not end running jobs: their deadline is
/// checked when their link is sealed.
///
/// A job ends as `expired`, or as `sent` if Mailgun has reported that it accepted the mail from an attempt whose
/// response was lost.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn expire(pool: &PgPool) -> Result<Vec<EndedJob>, Error> {
    let mut ended = vec![];
    loop {
        let batch = expire_batch(pool).await?;
        let is_last = batch.len() < BATCH;
        ended.extend(batch);
        if is_last {
            return Ok(ended);
        }
    }
}

async fn expire_batch(pool: &PgPool) -> Result<Vec<EndedJob>, Error> {
    let limit = i64::try_from(BATCH).unwrap_or(i64::MAX);
    let rows = persist!(&mut Session::of(pool), |connection| async {
        sqlx::query!(
            r#"
            with late as (
              select id from email_jobs_open
              where state in ('queued', 'retrying')
                and deadline_at <= clock_timestamp()
              order by deadline_at
              limit $1
              for update skip locked
            ),
            gone as (
              delete from email_jobs_open as job
              using late
              where job.id = late.id
              returning job
            ),
            history as (
              insert into email_jobs
              select ended.*
              from gone,
                -- True if Mailgun has reported that it accepted the mail from an earlier attempt.
                lateral (select (gone.job).delivery is not null as taken) as known
                left join (
                  select
                    coalesce(code, name || '_rate_limited') as code,
                    coalesce(message, initcap(name) || ' requested a pause that was longer than this job could wait.') as message
                  from upstreams
                  where stopped_by is not null
                    or paused_until > clock_timestamp()
                  order by stopped_by is null, name
                  limit 1
                ) as held on true
                left join lateral (
                  select 'paused' as code, format('An operator paused %s until %s.', target, to_char(ends_at at time zone 'utc', 'YYYY-MM-DD HH24:MI "UTC"')) as message
                  from operator_pauses
                  where ends_at > clock_timestamp()
                    and (portal is null or portal = (gone.job).portal)
                  order by portal is null, target
                  limit 1
                ) as paused on true,
                email_job_ended(
                  gone.job,
                  case when taken then 'sent' else 'expired' end,
                  -- The code of the last failed attempt, or else the reason why workers claimed no jobs.
                  case when not taken then coalesce((gone.job).code, paused.code, held.code, 'deadline_passed') end,
                  case
                    when taken then null
                    when (gone.job).code is not null then (gone.job).message
                    else coalesce(paused.message, held.message, 'No worker was free before the job''s deadline.')
                  end,
                  statement_timestamp()
                ) as ended
              returning id, request_id, portal, state, attempt, code, created_at
            )
            select
              id as "id!",
              request_id as "request_id!",
              portal,
              state as "state!",
              attempt as "attempt!",
              code,
              extract(epoch from clock_timestamp() - created_at)::float8 as "age!"
            from history
            "#,
            limit,
        )
        .fetch_all(connection)
        .await
    })?;
    let ended = rows.into_iter().map(|row| EndedJob {
        job: JobId(row.id),
        request_id: row.request_id,
        portal: row.portal,
        state: if row.state == "sent" { "sent" } else { "expired" },
        attempts: row.attempt,
        code: row.code,
        age: Duration::try_from_secs_f64(row.age).unwrap_or_default(),
    });
    Ok(ended.collect())
}
