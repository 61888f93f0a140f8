//! Finishes running jobs, either as sent or as failed.

use std::collections::HashSet;

use sqlx::PgPool;

use super::step_records::{StepColumns, query_with_steps};
use crate::{
    model::{
        failure::Failure,
        job_id::{JobId, Lease, in_lock_order, lease_columns},
        step::StepRecord,
    },
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// How a running job ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEnd {
    /// Mailgun accepted the mail.
    Sent,
    /// The job failed and will not be retried.
    Failed(Failure),
}

impl JobEnd {
    fn state(&self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed(_) => "failed",
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Sent => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

/// Whether a write that carries a lease took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The write took effect.
    Done,
    /// The lease is stale: the job was not changed.
    LeaseLost,
}

/// A running job to finish.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The worker's lease.
    pub lease: Lease,
    /// How the job ends.
    pub end: JobEnd,
    /// The step that led to this end, if there was one.
    pub step: Option<StepRecord>,
}

/// Finishes running jobs and returns whether each write took effect, in the order of `ends`. One statement moves the
/// rows from the open partition to today's history partition, without their leases and links.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. Jobs that are still running are rescued when their leases expire.
pub async fn finish(pool: &PgPool, ends: &[Finish]) -> Result<Vec<Recorded>, Error> {
    finish_in(&mut Session::of(pool), ends).await
}

pub(crate) async fn finish_in(session: &mut Session, ends: &[Finish]) -> Result<Vec<Recorded>, Error> {
    let sorted = in_lock_order(ends, |end| end.lease.job);
    let steps = StepColumns::collect(sorted.iter().map(|end| (end.lease.job, end.step.as_ref())));
    let (ids, tokens) = lease_columns(sorted.iter().map(|end| &end.lease));
    let states: Vec<&str> = sorted.iter().map(|end| end.end.state()).collect();
    let failures = || sorted.iter().map(|end| end.end.failure());
    let codes: Vec<Option<&str>> = failures().map(|failure| Some(failure?.code.as_str())).collect();
    let messages: Vec<Option<&str>> = failures().map(|failure| Some(failure?.message.as_str())).collect();
    let moved = persist!(session, |connection, is_retry| async {
        query_with_steps!(
            steps: steps,
            may_exist: is_retry,
            sql: r#"
            gone as (
              delete from email_jobs_open as job
              using unnest($12::uuid[], $13::bigint[], $14::text[], $15::text[], $16::text[])
                as given (id, lease_token, state, code, message)
              where job.id = given.id
                and job.lease_token = given.lease_token
              returning job, given.state, given.code, given.message
            ),
            history as (
              insert into email_jobs
              select ended.*
              from gone, email_job_ended(gone.job, gone.state, gone.code, gone.message, statement_timestamp()) as ended
            )
            select (job).id as "id!", (job).lease_token as "lease_token!" from gone
            "#,
            &ids,
            &tokens,
            &states as &[&str],
            &codes as &[Option<&str>],
            &messages as &[Option<&str>],
        )
        .fetch_all(connection)
        .await
    })?;
    let done: HashSet<Lease> =
        moved.into_iter().map(|row| Lease { job: JobId(row.id), token: row.lease_token }).collect();
    let recorded = |end: &Finish| if done.contains(&end.lease) { Recorded::Done } else { Recorded::LeaseLost };
    Ok(ends.iter().map(recorded).collect())
}
