//! The outcome of an action on a job, and the record of what operators did to the job.

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    model::job_id::JobId,
    postgres::error::{Error, in_time},
};

/// The outcome of an action on a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionOutcome {
    /// What happened, such as `cancelled`, or why nothing happened, such as `already_ended`. The SQL comments on
    /// `email_cancel_job`, `email_retry_job` and `email_retry_refusal` list the values that these functions return.
    pub code: String,
    /// The outcome as a sentence for the operator.
    pub message: String,
}

/// A row of `operator_actions` that is about a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobAction {
    /// When the operator acted.
    pub acted_at: DateTime<Utc>,
    /// The operator's role.
    pub actor: String,
    /// `cancel` or `retry`.
    pub action: String,
    /// The operator's reason.
    pub reason: Option<String>,
}

/// A row of `email_retries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRetry {
    /// The ended job to retry.
    pub job_id: JobId,
    /// `filed`, `accepted` or `refused`.
    pub state: String,
    /// When the operator filed the retry.
    pub filed_at: DateTime<Utc>,
    /// When an api accepted or refused the retry. `None` if no api has decided yet.
    pub decided_at: Option<DateTime<Utc>>,
    /// The new job, if the retry was accepted.
    pub new_job_id: Option<JobId>,
    /// If the retry was refused: the code of the reason.
    pub code: Option<String>,
    /// If the retry was refused: the reason as a sentence for the operator.
    pub message: Option<String>,
}

/// What operators did to a job, oldest first.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn of_job(pool: &PgPool, job: JobId) -> Result<Vec<JobAction>, Error> {
    in_time(async {
        let actions = sqlx::query_as!(
            JobAction,
            "select acted_at, actor, action, reason from operator_actions where job_id = $1 order by id",
            job.0,
        );
        Ok(actions.fetch_all(pool).await?)
    })
    .await
}

/// The retries that operators have filed for these jobs.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn retries(pool: &PgPool, jobs: &[JobId]) -> Result<Vec<JobRetry>, Error> {
    let ids: Vec<_> = jobs.iter().map(|job| job.0).collect();
    in_time(async {
        let retries = sqlx::query_as!(
            JobRetry,
            r#"
            select
              job_id as "job_id: JobId", state, filed_at, decided_at, new_job_id as "new_job_id: JobId", code, message
            from email_retries
            where job_id = any($1)
            "#,
            &ids,
        );
        Ok(retries.fetch_all(pool).await?)
    })
    .await
}

/// The retry that was filed for a job, and the retry that created the job. Each is `None` if there is no such retry.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn retries_of(pool: &PgPool, job: JobId) -> Result<(Option<JobRetry>, Option<JobRetry>), Error> {
    in_time(async {
        let retries = sqlx::query_as!(
            JobRetry,
            r#"
            select
              job_id as "job_id: JobId", state, filed_at, decided_at, new_job_id as "new_job_id: JobId", code, message
            from email_retries
            where job_id = $1 or new_job_id = $1
            "#,
            job.0,
        );
        let (of, by): (Vec<_>, Vec<_>) =
            retries.fetch_all(pool).await?.into_iter().partition(|retry| retry.job_id == job);
        Ok((of.into_iter().next(), by.into_iter().next()))
    })
    .await
}
