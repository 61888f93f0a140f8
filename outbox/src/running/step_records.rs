//! Writes step records (rows of `email_attempts`) in the same statement as the change that they led to.
//!
//! A step is recorded even if its worker has lost the lease in the meantime, because the step did happen. If the answer
//! to a write is lost, the write is repeated, so its row may already exist. That is not an error.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    model::{job_id::JobId, step::StepRecord},
    postgres::error::Error,
};

/// Returns the number of the job's steps that ended with this code.
///
/// # Errors
/// [`Error::Database`].
pub async fn steps_with_code(pool: &PgPool, job: JobId, code: &str) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from email_attempts where job_id = $1 and code = $2"#,
        job.0,
        code,
    )
    .fetch_one(pool)
    .await?;
    Ok(count)
}

/// Step records as one vector per column, for `unnest`.
#[derive(Default)]
pub(crate) struct StepColumns<'a> {
    pub(crate) jobs: Vec<Uuid>,
    pub(crate) attempts: Vec<i16>,
    pub(crate) steps: Vec<&'static str>,
    pub(crate) outcomes: Vec<&'static str>,
    pub(crate) statuses: Vec<Option<i16>>,
    pub(crate) codes: Vec<Option<&'a str>>,
    pub(crate) messages: Vec<Option<&'a str>>,
    pub(crate) durations_ms: Vec<i32>,
    pub(crate) started_at: Vec<DateTime<Utc>>,
    pub(crate) workers: Vec<&'a str>,
}

impl<'a> StepColumns<'a> {
    /// Collects the records of a batch. A job without a record adds nothing.
    pub(crate) fn collect(records: impl IntoIterator<Item = (JobId, Option<&'a StepRecord>)>) -> Self {
        let mut columns = Self::default();
        // A batch may contain the same write twice. Times are compared in microseconds, as Postgres stores them.
        let mut keys = HashSet::new();
        for (job, record) in records {
            if let Some(record) = record
                && keys.insert((job.0, record.started_at.timestamp_micros(), record.step.as_str()))
            {
                columns.push(job, record);
            }
        }
        columns
    }

    fn push(&mut self, job: JobId, record: &'a StepRecord) {
        let failure = record.failure.as_ref();
        self.jobs.push(job.0);
        self.attempts.push(record.attempt);
        self.steps.push(record.step.as_str());
        self.outcomes.push(record.outcome.as_str());
        self.statuses.push(record.http_status.and_then(|status| status.try_into().ok()));
        self.codes.push(failure.map(|failure| failure.code.as_str()));
        self.messages.push(failure.map(|failure| failure.message.as_str()));
        self.durations_ms.push(i32::try_from(record.duration.as_millis()).unwrap_or(i32::MAX));
        self.started_at.push(record.started_at);
        self.workers.push(&record.worker);
    }
}

/// `sqlx::query!` for a statement that also inserts step records, so that the statement's changes and the records are
/// committed together or not at all.
///
/// ```text
/// query_with_steps!(
///     steps: columns,             // a `StepColumns`
///     may_exist: is_retry,        // whether a previous try may have inserted the same rows
///     sql: r#"… common table expressions and the final select …"#,
///     first, second, …            // the statement's own parameters: $12, $13, …
/// )
/// ```
///
/// The text in `sql` continues a `with` clause that starts with the insert, which uses parameters $1 to $11. Existing
/// rows are only looked up if `may_exist` is true, because a lookup costs as much as an insert.
macro_rules! query_with_steps {
    (steps: $steps:expr, may_exist: $may_exist:expr, sql: $sql:literal, $($parameter:tt)*) => {
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
            "# + $sql,
            &$steps.jobs,
            &$steps.attempts,
            &$steps.steps as &[&str],
            &$steps.outcomes as &[&str],
            &$steps.statuses as &[Option<i16>],
            &$steps.codes as &[Option<&str>],
            &$steps.messages as &[Option<&str>],
            &$steps.durations_ms,
            &$steps.started_at,
            &$steps.workers as &[&str],
            $may_exist,
            $($parameter)*
        )
    };
}
pub(crate) use query_with_steps;
