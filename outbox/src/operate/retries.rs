//! Retries of ended jobs. An operator files a retry, and an api runs it like a new request: the retry counts towards
//! the recipient's quota and supersedes the person's waiting jobs. It does not count towards any client's quota,
//! because it does not come from a client, and it is never treated as a double click.

use sqlx::{Connection as _, PgConnection, PgPool};
use uuid::Uuid;

use super::actions::ActionOutcome;
use crate::{
    enqueue::{
        request::{EnqueuePolicy, NewJob},
        retry::{RetryPlan, RetryRefusal},
    },
    model::{ended_job::EndedJob, job_id::JobId},
    postgres::{
        error::{Error, in_time},
        notify::notify,
        session::{Session, persist},
    },
};

/// Files a retry of an ended job. `reason` is at most 500 bytes. If the code of the outcome is not `filed`, no retry
/// was filed.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn file(pool: &PgPool, job: JobId, reason: Option<&str>) -> Result<ActionOutcome, Error> {
    in_time(async {
        let outcome = sqlx::query_as!(
            ActionOutcome,
            r#"select outcome as "code!", message as "message!" from email_retry_job($1, $2)"#,
            job.0,
            reason,
        );
        Ok(outcome.fetch_one(pool).await?)
    })
    .await
}

/// Why a job cannot be retried now. `None` if the job can be retried.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn refusal(pool: &PgPool, job: JobId) -> Result<Option<ActionOutcome>, Error> {
    in_time(async { Ok(read_refusal(&mut *pool.acquire().await?, job.0).await?) }).await
}

async fn read_refusal(connection: &mut PgConnection, job: Uuid) -> Result<Option<ActionOutcome>, sqlx::Error> {
    let refusal = sqlx::query_as!(
        ActionOutcome,
        r#"select code as "code!", message as "message!" from email_retry_refusal($1)"#,
        job,
    );
    refusal.fetch_optional(connection).await
}

/// A filed retry that this api has reserved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledRetry {
    /// The ended job to retry.
    pub job: JobId,
    /// The request of the ended job. `None` if the job no longer exists.
    pub request: Option<PastRequest>,
}

/// The request of an ended job, as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRequest {
    /// The address that the link is mailed to.
    pub recipient: String,
    /// The URL that the link takes the person to.
    pub callback_url: String,
    /// The portal's host as the mail shows it.
    pub shown_host: Option<String>,
    /// Language of the mail, a BCP 47 tag.
    pub language: Option<String>,
    /// Time zone of the mail, a name from the tz database.
    pub time_zone: Option<String>,
    /// Id of the portal.
    pub portal: Option<String>,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// W3C `traceparent` of the request.
    pub traceparent: Option<String>,
}

/// Reserves up to `most` filed retries for 30 seconds. After that, a retry without a decision can be reserved again.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn take_retries(pool: &PgPool, most: i32) -> Result<Vec<FiledRetry>, Error> {
    let rows = in_time(async {
        let taken = sqlx::query!(
            r#"
            select
              job_id as "job_id!", recipient, callback_url, shown_host, language, time_zone, portal, request_id, traceparent
            from email_take_retries($1)
            "#,
            most,
        );
        Ok(taken.fetch_all(pool).await?)
    })
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| FiledRetry {
            job: JobId(row.job_id),
            request: match (row.recipient, row.callback_url, row.request_id) {
                (Some(recipient), Some(callback_url), Some(request_id)) => Some(PastRequest {
                    recipient,
                    callback_url,
                    shown_host: row.shown_host,
                    language: row.language,
                    time_zone: row.time_zone,
                    portal: row.portal,
                    request_id,
                    traceparent: row.traceparent,
                }),
                _ => None,
            },
        })
        .collect())
}

/// The decision on a retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetryDecision {
    /// The retry was accepted. The new job is waiting for a worker.
    Accepted,
    /// The retry was refused for this reason.
    Refused(ActionOutcome),
    /// Another api has decided on the retry in the meantime, or the person has been forgotten.
    Gone,
}

/// Runs a retry in one transaction: adds `new_job`, or records why the retry is refused.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. The decision may nevertheless have been committed, for example if only
/// the notification of the workers failed.
pub async fn run(
    pool: &PgPool,
    policy: &EnqueuePolicy,
    retry: JobId,
    new_job: &NewJob,
) -> Result<RetryDecision, Error> {
    let (decision, ended) =
        persist!(&mut Session::of(pool), |connection| run_once(connection, policy, retry, new_job))?;
    ended.iter().for_each(EndedJob::log);
    if decision == RetryDecision::Accepted {
        notify(pool).await?;
    }
    Ok(decision)
}

impl From<RetryRefusal> for ActionOutcome {
    fn from(refusal: RetryRefusal) -> Self {
        let (code, message) = match refusal {
            RetryRefusal::Suppressed => ("suppressed", "The recipient has just been suppressed.".to_owned()),
            RetryRefusal::Limited { retry_after } => {
                let seconds = retry_after.as_secs_f64().ceil();
                let message = format!("The recipient's quota is used up. It allows one more mail in {seconds} s.");
                ("recipient_rate_limited", message)
            }
        };
        Self { code: code.to_owned(), message }
    }
}

async fn run_once(
    connection: &mut PgConnection,
    policy: &EnqueuePolicy,
    retry: JobId,
    new_job: &NewJob,
) -> Result<(RetryDecision, Vec<EndedJob>), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    // Read the recipient's quota row before checking whether the retry must be refused. If the person makes a request
    // in between, the write fails, and `run` repeats the transaction.
    let plan = RetryPlan::read(&mut transaction, policy, new_job).await?;
    let refusal = read_refusal(&mut transaction, retry.0).await?.or_else(|| plan.refusal().map(ActionOutcome::from));
    let ended = match &refusal {
        None => plan.write(&mut transaction, policy, new_job).await?,
        Some(_) => vec![],
    };
    let new_job_id = refusal.is_none().then_some(new_job.id.0);
    if !settle_on(&mut transaction, retry.0, new_job_id, refusal.as_ref()).await? {
        transaction.rollback().await?;
        return Ok((RetryDecision::Gone, vec![]));
    }
    transaction.commit().await?;
    Ok((refusal.map_or(RetryDecision::Accepted, RetryDecision::Refused), ended))
}

/// Refuses a retry. Does nothing if another api has decided on the retry in the meantime.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn refuse(pool: &PgPool, retry: JobId, refusal: &ActionOutcome) -> Result<(), Error> {
    in_time(async {
        settle_on(&mut *pool.acquire().await?, retry.0, None, Some(refusal)).await?;
        Ok(())
    })
    .await
}

async fn settle_on(
    connection: &mut PgConnection,
    retry: Uuid,
    new_job: Option<Uuid>,
    refusal: Option<&ActionOutcome>,
) -> Result<bool, sqlx::Error> {
    let settled = sqlx::query_scalar!(
        r#"select email_settle_retry($1, $2, $3, $4) as "settled!""#,
        retry,
        new_job,
        refusal.map(|refusal| refusal.code.as_str()),
        refusal.map(|refusal| refusal.message.as_str()),
    );
    settled.fetch_one(connection).await
}
