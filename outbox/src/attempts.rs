//! The journal of steps: rows of `email_attempts`, written in the same statement as what they led to.
//!
//! A step that was taken is journalled even where its worker has lost the lease meanwhile: it did happen. A row that
//! is there already is no fault: a write whose answer was lost is written again.

use serde_json::{Value, json};
use sqlx::PgPool;

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

/// Rows to add, in the form that `jsonb_populate_recordset(null::email_attempts, …)` takes.
pub(crate) struct Journal(Value);

impl Journal {
    pub(crate) fn of<'a>(attempts: impl IntoIterator<Item = (JobId, &'a Attempt, i16, &'a str)>) -> Self {
        Self(attempts.into_iter().map(|(job, attempt, number, worker)| row(job, attempt, number, worker)).collect())
    }

    pub(crate) fn as_json(&self) -> &Value {
        &self.0
    }
}

fn row(job: JobId, attempt: &Attempt, number: i16, worker: &str) -> Value {
    json!({
        "job_id": job.0.to_string(),
        "attempt": number,
        "step": attempt.step.as_str(),
        "outcome": attempt.outcome.as_str(),
        "http_status": attempt.http_status,
        "code": attempt.failure.as_ref().map(|failure| &failure.code),
        "message": attempt.failure.as_ref().map(|failure| &failure.message),
        "duration_ms": i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX),
        "started_at": attempt.started_at.to_rfc3339(),
        "worker": worker,
    })
}
