//! The journal of steps: rows of `email_attempts`, written in the same statement as what they led to.
//!
//! A step that was taken is journalled even where its worker has lost the lease meanwhile: it did happen. A row that
//! is there already is no fault: a write whose answer was lost is written again, and then without it.

use std::{collections::HashSet, sync::Arc};

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Attempt, Error, JobId};

/// How many of a job's steps ended with this code.
///
/// # Errors
/// [`Error::Database`].
pub async fn attempts_with_code(pool: &PgPool, job: JobId, code: &str) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from email_attempts where job_id = $1 and code = $2"#,
        job.0,
        code,
    )
    .fetch_one(pool)
    .await?;
    Ok(count)
}

/// A step for the journal.
#[derive(Debug, Clone)]
pub struct JournalEntry {
    /// What was tried, and what came of it.
    pub step: Attempt,
    /// As which attempt of its job.
    pub attempt: i16,
    /// By which worker: at most 128 bytes.
    pub worker: Arc<str>,
}

/// Rows to add, a column each: an `unnest` of them is what statements insert.
#[derive(Default)]
pub(crate) struct Journal<'a> {
    pub(crate) jobs: Vec<Uuid>,
    pub(crate) attempts: Vec<i16>,
    pub(crate) steps: Vec<&'static str>,
    pub(crate) outcomes: Vec<&'static str>,
    pub(crate) statuses: Vec<Option<i16>>,
    pub(crate) codes: Vec<Option<&'a str>>,
    pub(crate) messages: Vec<Option<&'a str>>,
    pub(crate) milliseconds: Vec<i32>,
    pub(crate) starts: Vec<DateTime<Utc>>,
    pub(crate) workers: Vec<&'a str>,
}

impl<'a> Journal<'a> {
    pub(crate) fn of(entries: impl IntoIterator<Item = (JobId, &'a Option<JournalEntry>)>) -> Self {
        let mut rows = Self::default();
        // One that is written again may meet itself in the same batch; to Postgres times are equal by the microsecond.
        let mut keys = HashSet::new();
        for (job, entry) in entries {
            if let Some(entry) = entry
                && keys.insert((job.0, entry.step.started_at.timestamp_micros(), entry.step.step.as_str()))
            {
                rows.push(job, entry);
            }
        }
        rows
    }

    fn push(&mut self, job: JobId, JournalEntry { step, attempt, worker }: &'a JournalEntry) {
        let failure = step.failure.as_ref();
        self.jobs.push(job.0);
        self.attempts.push(*attempt);
        self.steps.push(step.step.as_str());
        self.outcomes.push(step.outcome.as_str());
        self.statuses.push(step.http_status.and_then(|status| status.try_into().ok()));
        self.codes.push(failure.map(|failure| failure.code.as_str()));
        self.messages.push(failure.map(|failure| failure.message.as_str()));
        self.milliseconds.push(i32::try_from(step.duration.as_millis()).unwrap_or(i32::MAX));
        self.starts.push(step.started_at);
        self.workers.push(worker);
    }
}

/// A statement that adds the journal's rows before all else that it does: its text goes on after them, within the same
/// `with`, and its own parameters count from $12.
///
/// A row that is there already is looked for only `again`, where a first try met one: a look costs as much as the row.
macro_rules! journalled {
    ($journal:expr, $again:expr, $rest:literal, $($parameters:tt)*) => {
        sqlx::query!(
            r#"
            with journal as (
              insert into email_attempts (
                job_id, attempt, step, outcome, http_status, code, message, duration_ms, started_at, worker)
              select * from unnest(
                $1::uuid[], $2::int2[], $3::text[], $4::text[], $5::int2[],
                $6::text[], $7::text[], $8::int4[], $9::timestamptz[], $10::text[])
                as entry (job_id, attempt, step, outcome, http_status, code, message, duration_ms, started_at, worker)
              where not $11
                or not exists (
                  select from email_attempts as written
                  where written.job_id = entry.job_id
                    and written.started_at = entry.started_at
                    and written.step = entry.step
                )
            ),
            "# + $rest,
            &$journal.jobs,
            &$journal.attempts,
            &$journal.steps as &[&str],
            &$journal.outcomes as &[&str],
            &$journal.statuses as &[Option<i16>],
            &$journal.codes as &[Option<&str>],
            &$journal.messages as &[Option<&str>],
            &$journal.milliseconds,
            &$journal.starts,
            &$journal.workers as &[&str],
            $again,
            $($parameters)*
        )
    };
}
pub(crate) use journalled;
