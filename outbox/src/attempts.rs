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
        // One that is written again may meet itself in the same batch.
        let mut keys = HashSet::new();
        for (job, entry) in entries {
            if let Some(entry) = entry
                && keys.insert((job.0, entry.step.started_at, entry.step.step.as_str()))
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
