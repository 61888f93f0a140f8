//! The story of one job: its row, the steps that were tried, what Mailgun reported, the job that superseded it, and the
//! job whose request it repeats.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use crate::{
    model::{delivery_status::DeliveryStatus, job_id::JobId, job_state::JobState},
    postgres::error::{Error, in_time},
    reports::suppression::SuppressionReason,
};

/// The value that `email_forget` stores as the recipient of a forgotten person's jobs.
pub const FORGOTTEN: &str = "forgotten@invalid";

/// A job with everything that operators may read about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDetails {
    /// Its id.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// What Mailgun reported about the job's mail.
    pub delivery: Option<DeliveryStatus>,
    /// When the reported event happened, by Mailgun's clock.
    pub delivery_at: Option<DateTime<Utc>>,
    /// Number of attempts so far.
    pub attempt: i16,
    /// Code of the job's last failure, or the code with which the job ended.
    pub code: Option<String>,
    /// Human-readable explanation of the code. May contain text from third parties.
    pub message: Option<String>,
    /// The job's portal. `None` if the deployment has no portals.
    pub portal: Option<String>,
    /// The address that the link is mailed to.
    pub recipient: String,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// Language of the mail.
    pub language: Option<String>,
    /// The portal's host as the mail shows it.
    pub shown_host: Option<String>,
    /// When the request was accepted.
    pub created_at: DateTime<Utc>,
    /// Earliest time of the next attempt.
    pub run_at: DateTime<Utc>,
    /// When a worker last claimed the job.
    pub attempted_at: Option<DateTime<Utc>>,
    /// When the job expires.
    pub deadline_at: DateTime<Utc>,
    /// When the job ended. `None` while the job is open.
    pub finished_at: Option<DateTime<Utc>>,
    /// The worker that holds the job's lease, or the last worker that held it.
    pub worker: Option<String>,
    /// When the worker's lease expires. `None` unless the job is running.
    pub lease_expires_at: Option<DateTime<Utc>>,
    /// When an operator cancelled the job while a worker was running it.
    pub cancelled_at: Option<DateTime<Utc>>,
    /// When the person made the original request. `None` unless the job is a retry that an operator filed.
    pub requested_at: Option<DateTime<Utc>>,
}

/// A step that a worker tried: one row of `email_attempts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedStep {
    /// The job.
    pub job_id: JobId,
    /// Number of the attempt.
    pub attempt: i16,
    /// `generate_link` or `send`.
    pub step: String,
    /// `ok`, `retry`, `unknown`, `reject`, `configuration` or `stopped`.
    pub outcome: String,
    /// HTTP status of the upstream's response. `None` if there was no response.
    pub http_status: Option<i16>,
    /// Code of the reason for the outcome.
    pub code: Option<String>,
    /// Human-readable reason for the outcome. May quote the upstream.
    pub message: Option<String>,
    /// Time from the start of the step to the end of the upstream's response, in milliseconds.
    pub duration_ms: i32,
    /// When the step started, by the worker's clock.
    pub started_at: DateTime<Utc>,
    /// The worker.
    pub worker: String,
}

/// An event that Mailgun reported: one row of `email_events`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedEvent {
    /// The job.
    pub job_id: JobId,
    /// Mailgun's event type.
    pub event: String,
    /// `temporary` or `permanent`, for failed events.
    pub severity: Option<String>,
    /// Mailgun's reason.
    pub reason: Option<String>,
    /// SMTP status from the recipient's server, or one of Mailgun's own codes.
    pub smtp_code: Option<i32>,
    /// Enhanced status (RFC 3463) from the recipient's server.
    pub enhanced_code: Option<String>,
    /// The message from the recipient's server or from Mailgun.
    pub message: Option<String>,
    /// The delivery status that the event indicates.
    pub delivery: Option<DeliveryStatus>,
    /// When the event happened, by Mailgun's clock.
    pub occurred_at: DateTime<Utc>,
    /// When the event was stored.
    pub received_at: DateTime<Utc>,
}

/// A suppression of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    /// Why the address is suppressed.
    pub reason: SuppressionReason,
    /// When the suppression ends. May be in the past.
    pub until: DateTime<Utc>,
}

/// A job that superseded another job, or whose request another job repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelatedJob {
    /// Its id.
    pub id: JobId,
    /// `X-Request-Id` of the job's request.
    pub request_id: String,
    /// When the job's request was accepted.
    pub created_at: DateTime<Utc>,
}

/// A person's newest job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestJob {
    /// Its id.
    pub id: JobId,
    /// Number of the person's other jobs from the last 24 hours.
    pub others: i64,
}

/// The job with this id.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn job(pool: &PgPool, id: JobId) -> Result<Option<JobDetails>, Error> {
    let job = sqlx::query_as!(
        JobDetails,
        r#"
        select
          id as "id: JobId", state as "state: JobState", delivery as "delivery: DeliveryStatus", delivery_at, attempt, code,
          message, portal, recipient, request_id, language, shown_host, created_at, run_at, attempted_at, deadline_at,
          nullif(finished_at, 'infinity') as finished_at, worker, lease_expires_at, cancelled_at, requested_at
        from email_jobs
        where id = $1
        "#,
        id.0,
    );
    in_time(async { Ok(job.fetch_optional(pool).await?) }).await
}

/// The callback URL of a job, without the query and the fragment, which may identify the person. `None` if the job does
/// not exist, or if the database role may not read callback URLs.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn callback(pool: &PgPool, id: JobId) -> Result<Option<String>, Error> {
    let may_read =
        sqlx::query_scalar!(r#"select has_column_privilege('email_jobs', 'callback_url', 'select') as "may_read!""#);
    if !in_time(async { Ok(may_read.fetch_one(pool).await?) }).await? {
        return Ok(None);
    }
    let callback = sqlx::query_scalar!(
        r#"select split_part(split_part(callback_url, '?', 1), '#', 1) as "callback!" from email_jobs where id = $1"#,
        id.0,
    );
    in_time(async { Ok(callback.fetch_optional(pool).await?) }).await
}

/// The steps of the given jobs that started at or after `since`, oldest first.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn steps(pool: &PgPool, jobs: &[JobId], since: DateTime<Utc>) -> Result<Vec<TriedStep>, Error> {
    let ids: Vec<_> = jobs.iter().map(|id| id.0).collect();
    let steps = sqlx::query_as!(
        TriedStep,
        r#"
        select
          job_id as "job_id: JobId", attempt, step, outcome, http_status, code, message, duration_ms, started_at, worker
        from email_attempts
        where job_id = any($1)
          and started_at >= $2
        order by started_at, step
        "#,
        &ids,
        since,
    );
    in_time(async { Ok(steps.fetch_all(pool).await?) }).await
}

/// The events that Mailgun reported about a job's mail, oldest first.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn events(pool: &PgPool, id: JobId) -> Result<Vec<ReportedEvent>, Error> {
    let events = sqlx::query_as!(
        ReportedEvent,
        r#"
        select
          job_id as "job_id: JobId", event, severity, reason, smtp_code, enhanced_code, message,
          delivery as "delivery: DeliveryStatus", occurred_at, received_at
        from email_events
        where job_id = $1
        order by occurred_at, received_at
        "#,
        id.0,
    );
    in_time(async { Ok(events.fetch_all(pool).await?) }).await
}

/// The job that superseded `job`: the person's next job that was not caused by a double click.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn successor(pool: &PgPool, job: &JobDetails) -> Result<Option<RelatedJob>, Error> {
    if job.recipient == FORGOTTEN {
        return Ok(None);
    }
    let next = sqlx::query_as!(
        RelatedJob,
        r#"
        with theirs as materialized (
          select id, request_id, created_at, code from email_jobs where recipient = $1 and created_at > $2
        )
        select id as "id: JobId", request_id, created_at
        from theirs
        where code is distinct from 'duplicate'
        order by created_at
        limit 1
        "#,
        job.recipient,
        job.created_at,
    );
    in_time(async { Ok(next.fetch_optional(pool).await?) }).await
}

/// The job whose request `job` repeats: the person's previous job that was not itself caused by a double click.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn repeated(pool: &PgPool, job: &JobDetails) -> Result<Option<RelatedJob>, Error> {
    if job.recipient == FORGOTTEN {
        return Ok(None);
    }
    let previous = sqlx::query_as!(
        RelatedJob,
        r#"
        with theirs as materialized (
          select id, request_id, created_at, code from email_jobs where recipient = $1 and created_at < $2
        )
        select id as "id: JobId", request_id, created_at
        from theirs
        where code is distinct from 'duplicate'
        order by created_at desc
        limit 1
        "#,
        job.recipient,
        job.created_at,
    );
    in_time(async { Ok(previous.fetch_optional(pool).await?) }).await
}

/// The suppression of an address. The suppression may already have ended.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn suppression(pool: &PgPool, recipient: &str) -> Result<Option<Suppression>, Error> {
    let suppression = sqlx::query_as!(
        Suppression,
        r#"select reason as "reason: SuppressionReason", until from suppressed_recipients where recipient = $1"#,
        recipient,
    );
    in_time(async { Ok(suppression.fetch_optional(pool).await?) }).await
}

/// A person's newest job, however old, and the number of the person's other jobs from the 24 hours before `now`.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn newest_of(pool: &PgPool, recipient: &str, now: DateTime<Utc>) -> Result<Option<NewestJob>, Error> {
    let newest = sqlx::query_as!(
        NewestJob,
        r#"
        with theirs as materialized (
          select id, created_at from email_jobs where recipient = $1
        )
        select
          id as "id!: JobId",
          (select count(*) from theirs as other where other.id <> newest.id and other.created_at >= $2) as "others!"
        from theirs as newest
        order by created_at desc, id desc
        limit 1
        "#,
        recipient,
        now - TimeDelta::days(1),
    );
    in_time(async { Ok(newest.fetch_optional(pool).await?) }).await
}
