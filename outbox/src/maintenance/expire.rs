//! Ends jobs that waited past their deadline. A sign-in mail that late is useless.

use sqlx::PgPool;

use crate::postgres::{
    error::Error,
    session::{Session, persist},
};

/// Maximum number of jobs that one statement ends.
const BATCH: i64 = 1_000;

/// Number of jobs that ended, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expired {
    /// Expired: nothing was mailed, as far as is known.
    pub expired: u64,
    /// Sent: Mailgun has reported the mail of an attempt whose answer was lost.
    pub sent: u64,
}

/// Ends the waiting jobs whose deadline has passed, and returns how many. Running jobs are left alone: the seal checks their
/// deadline.
///
/// # Errors
/// [`Error::Database`].
pub async fn expire(pool: &PgPool) -> Result<Expired, Error> {
    let mut ended = Expired::default();
    loop {
        let (expired, sent) = expire_batch(pool).await?;
        ended.expired += expired.unsigned_abs();
        ended.sent += sent.unsigned_abs();
        if expired + sent < BATCH {
            return Ok(ended);
        }
    }
}

/// Numbers of jobs that ended as expired and as sent.
async fn expire_batch(pool: &PgPool) -> Result<(i64, i64), Error> {
    let row = persist!(&mut Session::of(pool), |connection| async {
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
                -- Mailgun has reported that it accepted an earlier attempt.
                lateral (select (gone.job).delivery is not null as taken) as known
                left join (
                  select
                    coalesce(code, name || '_rate_limited') as code,
                    coalesce(message, initcap(name) || ' asked for a pause that was longer than this job could wait.') as message
                  from upstreams
                  where stopped_by is not null
                    or paused_until > clock_timestamp()
                  order by stopped_by is null, name
                  limit 1
                ) as held on true,
                email_job_ended(
                  gone.job,
                  case when taken then 'sent' else 'expired' end,
                  -- The reason of the last attempt, if there was one; otherwise what held up the workers.
                  case when not taken then coalesce((gone.job).code, held.code, 'deadline_passed') end,
                  case
                    when taken then null
                    when (gone.job).code is not null then (gone.job).message
                    else coalesce(held.message, 'No worker was free before its deadline.')
                  end,
                  statement_timestamp()
                ) as ended
              returning state
            )
            select
              count(*) filter (where state = 'expired') as "expired!",
              count(*) filter (where state = 'sent') as "sent!"
            from history
            "#,
            BATCH,
        )
        .fetch_one(connection)
        .await
    })?;
    Ok((row.expired, row.sent))
}
