//! What Mailgun reports about a mail: remembered, and told on its job. The token of the report and its effect are
//! committed together, so that a report whose commit failed is taken again when it comes again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgConnection, PgPool};

use crate::{Delivery, Error, JobId, error::persist};

/// A report is taken at most so long after it was signed: its token is remembered for twice that.
pub const LONGEST_REPORT_AGE: Duration = Duration::from_hours(24);

/// A job ends within its deadline, which is at most a day, and what a rescue adds.
const LONGEST_JOB: TimeDelta = TimeDelta::days(2);

/// A reported event. Its texts are cut to what the columns take and hold no link, address or token.
#[derive(Debug, Clone)]
pub struct DeliveryEvent {
    /// Mailgun's id of it.
    pub id: String,
    /// `accepted`, `delivered`, `failed`, `complained`, `rejected`.
    pub event: &'static str,
    /// The job that it names.
    pub job: Option<JobId>,
    /// The mail's Message-Id, in angle brackets.
    pub message_id: Option<String>,
    /// Whom the mail was for, in lower case: an event for somebody else fits no job.
    pub recipient: String,
    /// Of `failed`: `temporary` or `permanent`.
    pub severity: Option<String>,
    /// Mailgun's word for why.
    pub reason: Option<String>,
    /// The remote server's status, or Mailgun's own.
    pub smtp_code: Option<i32>,
    /// The remote server's enhanced status.
    pub enhanced_code: Option<String>,
    /// The remote server's words.
    pub message: Option<String>,
    /// What it says about the delivery; nothing for a mail in test mode.
    pub delivery: Option<Delivery>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// The report that an event came with.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Its signed token: 1 to 64 bytes.
    pub token: &'a str,
    /// SHA-256 of the event.
    pub digest: [u8; 32],
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// The event is on its job.
    Recorded,
    /// It was there already: nothing has changed.
    Known,
    /// It fits no job of ours, and is kept apart.
    Unmatched,
    /// Its token came with another event before: nothing has changed.
    TokenReused,
}

/// Takes a report in. Committed when it returns.
///
/// # Errors
/// [`Error::Database`]: nothing was remembered, the token neither.
pub async fn report(pool: &PgPool, report: Report<'_>, event: &DeliveryEvent) -> Result<Reported, Error> {
    persist(pool, || async {
        let mut transaction = pool.begin().await?;
        let reported = match remember(&mut transaction, report).await? {
            Token::New => record(&mut transaction, event).await?,
            Token::Known => Reported::Known,
            Token::Reused => Reported::TokenReused,
        };
        transaction.commit().await?;
        Ok(reported)
    })
    .await
}

enum Token {
    New,
    Known,
    Reused,
}

async fn remember(connection: &mut PgConnection, report: Report<'_>) -> Result<Token, sqlx::Error> {
    // Waits for another report with this token, if one is being taken.
    let added = sqlx::query!(
        "insert into webhook_tokens (token, digest) values ($1, $2) on conflict do nothing",
        report.token,
        &report.digest[..],
    )
    .execute(&mut *connection)
    .await?;
    if added.rows_affected() == 1 {
        return Ok(Token::New);
    }
    let same = sqlx::query_scalar!(
        r#"select digest = $2 as "same!" from webhook_tokens where token = $1"#,
        report.token,
        &report.digest[..],
    )
    .fetch_optional(connection)
    .await?;
    Ok(if same == Some(true) { Token::Known } else { Token::Reused })
}

/// Tells the event on its job, and keeps its row.
async fn record(connection: &mut PgConnection, event: &DeliveryEvent) -> Result<Reported, sqlx::Error> {
    // The same event may come under two tokens, and at the same time.
    sqlx::query!(r#"select pg_advisory_xact_lock(hashtextextended($1, 0)) is null as "done!""#, event.id)
        .fetch_one(&mut *connection)
        .await?;
    // A job that ends this moment is neither in the one partition nor yet in the other; a moment later it is.
    for _ in 0..3 {
        if let Some(reported) = record_once(connection, event).await? {
            return Ok(reported);
        }
    }
    park(connection, event).await
}

/// `None` where the job was on its way into the history.
async fn record_once(connection: &mut PgConnection, event: &DeliveryEvent) -> Result<Option<Reported>, sqlx::Error> {
    // The id begins with the time of the request: only the partitions that the job can be in are looked at.
    let Some((job, created_at)) = event.job.and_then(|job| Some((job, created_at(job)?))) else {
        return park(connection, event).await.map(Some);
    };
    let row = sqlx::query!(
        r#"
        with mine as (
          select
            id,
            finished_at,
            (email_delivery_rank($3), $4::timestamptz, $3)
              > (email_delivery_rank(delivery), coalesce(delivery_at, '-infinity'), coalesce(delivery, '')) as moves
          from email_jobs
          where id = $1
            and message_id = $2
            and recipient = $5
            and (finished_at = 'infinity' or finished_at between $6 and $7)
        ),
        moved as (
          update email_jobs as job
          set delivery = $3, delivery_at = $4
          from mine
          where job.id = mine.id
            and job.finished_at = mine.finished_at
            and $3::text is not null
            and moves
          returning job.id
        ),
        kept as (
          insert into email_events (
            job_id, event_id, event, severity, reason, smtp_code, enhanced_code, message, delivery, occurred_at)
          select id, $8, $9, $10, $11, $12, $13, $14, $3, $4
          from mine
          where not exists (select from email_events where job_id = $1 and event_id = $8 and received_at >= $6)
            -- Not before the job has been told.
            and ($3::text is null or not moves or exists (select from moved))
          returning event_id
        )
        select
          exists (select from mine) as "found!",
          exists (select from mine where moves and $3::text is not null) and not exists (select from moved) as "missed!",
          exists (select from kept) as "kept!"
        "#,
        job.0,
        event.message_id,
        event.delivery.map(Delivery::as_str),
        event.occurred_at,
        event.recipient,
        created_at - TimeDelta::minutes(5),
        created_at + LONGEST_JOB,
        event.id,
        event.event,
        event.severity,
        event.reason,
        event.smtp_code,
        event.enhanced_code,
        event.message,
    )
    .fetch_one(&mut *connection)
    .await?;
    match (row.found, row.missed, row.kept) {
        (true, true, _) => Ok(None),
        (true, false, true) => Ok(Some(Reported::Recorded)),
        (true, false, false) => Ok(Some(Reported::Known)),
        (false, ..) => park(connection, event).await.map(Some),
    }
}

async fn park(connection: &mut PgConnection, event: &DeliveryEvent) -> Result<Reported, sqlx::Error> {
    sqlx::query!(
        "
        insert into email_events_unmatched (event_id, event, job_id, message_id, reason, occurred_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing
        ",
        event.id,
        event.event,
        event.job.map(|job| job.0),
        event.message_id,
        event.reason,
        event.occurred_at,
    )
    .execute(connection)
    .await?;
    Ok(Reported::Unmatched)
}

/// The time in a UUIDv7.
fn created_at(job: JobId) -> Option<DateTime<Utc>> {
    let (seconds, nanoseconds) = job.0.get_timestamp()?.to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)
}

/// Deletes the tokens of reports that are too old to be taken again, and events that fit no job after
/// `unmatched_after`. Tells how many rows.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_reports(pool: &PgPool, unmatched_after: Duration) -> Result<u64, Error> {
    let tokens = sqlx::query!(
        "delete from webhook_tokens where token in (
           select token from webhook_tokens
           where seen_at < clock_timestamp() - make_interval(secs => $1)
           order by seen_at limit 10000 for update skip locked)",
        (2 * LONGEST_REPORT_AGE).as_secs_f64(),
    )
    .execute(pool)
    .await?;
    let unmatched = sqlx::query!(
        "delete from email_events_unmatched where (event_id, occurred_at) in (
           select event_id, occurred_at from email_events_unmatched
           where received_at < clock_timestamp() - make_interval(secs => $1)
           order by received_at limit 10000 for update skip locked)",
        unmatched_after.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(tokens.rows_affected() + unmatched.rows_affected())
}
