//! How a running job ends.

use sqlx::PgPool;

use crate::{Attempt, Error, Failure, Lease, attempts::Journal, error::persist};

/// The end of a running job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Mailgun took the mail.
    Sent,
    /// It can never succeed.
    Failed(Failure),
}

/// Whether a write took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// It did.
    Done,
    /// Another worker holds the job: nothing was changed.
    LeaseLost,
}

/// Ends a running job: out of the open partition and, without its lease and link, into today's history.
///
/// # Errors
/// [`Error::Database`]: the job is still running, and is rescued when its lease ends.
pub async fn finish(
    pool: &PgPool,
    lease: Lease,
    end: &End,
    journal: Option<(&Attempt, i16, &str)>,
) -> Result<Recorded, Error> {
    let journal = Journal::of(journal.map(|(attempt, number, worker)| (lease.job, attempt, number, worker)));
    let (state, failure) = match end {
        End::Sent => ("sent", None),
        End::Failed(failure) => ("failed", Some(failure)),
    };
    let moved = persist(pool, || async {
        sqlx::query_scalar!(
            r#"
            with journal as (
              insert into email_attempts
              select attempt.* from jsonb_populate_recordset(null::email_attempts, $6) as attempt
              on conflict do nothing
            ),
            gone as (
              delete from email_jobs_open as job
              where id = $1
                and lease_token = $2
              returning job
            ),
            history as (
              insert into email_jobs
              select ended.* from gone, email_job_ended(gone.job, $3, $4, $5, clock_timestamp()) as ended
              returning id
            )
            select count(*) as "count!" from history
            "#,
            lease.job.0,
            lease.token,
            state,
            failure.map(|failure| failure.code.as_str()),
            failure.map(|failure| failure.message.as_str()),
            journal.as_json(),
        )
        .fetch_one(pool)
        .await
    })
    .await?;
    Ok(if moved == 1 { Recorded::Done } else { Recorded::LeaseLost })
}
