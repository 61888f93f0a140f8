//! The list of mails about which a worker queries Mailgun. These mails were handed over to Mailgun, or may have been,
//! and no report of their final status has arrived. Only one worker at a time works on the list. The list is a table,
//! so the next worker continues where the last one stopped.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{model::job_id::JobId, postgres::error::Error};

/// A mail whose final status has not been reported.
#[derive(Debug, Clone)]
pub struct UnreportedMail {
    /// The mail's job.
    pub job: JobId,
    /// The Message-Id, with angle brackets.
    pub message_id: String,
    /// When the job ended.
    pub ended_at: DateTime<Utc>,
    /// Time since the job ended.
    pub age: Duration,
    /// Number of queries to Mailgun that did not return the final status.
    pub asks: u16,
}

/// Takes or renews the lease on the list for the time `hold`. Returns false while another worker holds the lease, and
/// during a pause that [`end_turn`] started. A worker that started a pause without a reason does not have to wait for
/// the pause to end.
///
/// # Errors
/// [`Error::Database`].
pub async fn take_turn(pool: &PgPool, worker: &str, hold: Duration) -> Result<bool, Error> {
    let taken = sqlx::query!(
        "
        update email_reconciler
        set held_by = $1, held_until = clock_timestamp() + make_interval(secs => $2), reason = null
        where held_until <= clock_timestamp()
          or (held_by = $1 and reason is null)
        ",
        worker,
        hold.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Gives up the lease on the list. Other workers cannot acquire the lease before `pause` has passed. If a reason is
/// given, this worker cannot acquire it either.
///
/// # Errors
/// [`Error::Database`].
pub async fn end_turn(pool: &PgPool, worker: &str, pause: Duration, reason: Option<&str>) -> Result<(), Error> {
    sqlx::query!(
        "
        update email_reconciler
        set held_until = clock_timestamp() + make_interval(secs => $2), reason = $3
        where held_by = $1
        ",
        worker,
        pause.as_secs_f64(),
        reason,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Adds mails to the list if their job ended more than `min_age` ago and their final status has not been reported. One
/// call reads at most an hour of history, and nothing older than `oldest`.
///
/// # Errors
/// [`Error::Database`].
pub async fn enlist(pool: &PgPool, min_age: Duration, oldest: Duration) -> Result<Enlisted, Error> {
    let mut transaction = pool.begin().await?;
    let hour = sqlx::query!(
        r#"
        with bounds as (
          select
            greatest(enlisted_to, clock_timestamp() - make_interval(secs => $2)) as after,
            clock_timestamp() - make_interval(secs => $1) as latest
          from email_reconciler
        )
        update email_reconciler
        set enlisted_to = least(after + interval '1 hour', latest)
        from bounds
        where after < latest
        returning after as "after!", enlisted_to as "up_to!", enlisted_to < latest as "more!"
        "#,
        min_age.as_secs_f64(),
        oldest.as_secs_f64(),
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(hour) = hour else { return Ok(Enlisted { mails: 0, more: false }) };
    // The bounds are passed as values, so that Postgres reads only the partitions between them.
    let added = sqlx::query!(
        "
        insert into email_reconciliations (job_id, message_id, ended_at, next_ask_at)
        select id, message_id, finished_at, clock_timestamp()
        from email_jobs
        where finished_at > $1 and finished_at <= $2
          and message_id is not null
          and email_delivery_rank(delivery) <= email_delivery_rank('deferred')
        on conflict do nothing
        ",
        hour.after,
        hour.up_to,
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Enlisted { mails: added.rows_affected(), more: hour.more })
}

/// The result of [`enlist`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enlisted {
    /// Number of mails that were added to the list.
    pub mails: u64,
    /// Whether there is more history to read.
    pub more: bool,
}

/// Mails whose next query is due, the longest overdue first.
///
/// # Errors
/// [`Error::Database`].
pub async fn unreported_mails(pool: &PgPool, limit: i64) -> Result<Vec<UnreportedMail>, Error> {
    let rows = sqlx::query!(
        r#"
        select
          job_id, message_id, ended_at, asks,
          extract(epoch from clock_timestamp() - ended_at)::double precision as "age!"
        from email_reconciliations
        where next_ask_at <= clock_timestamp()
        order by next_ask_at
        limit $1
        "#,
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| UnreportedMail {
            job: JobId(row.job_id),
            message_id: row.message_id,
            ended_at: row.ended_at,
            age: Duration::from_secs_f64(row.age.max(0.0)),
            asks: row.asks.unsigned_abs(),
        })
        .collect())
}

/// Schedules the next query for a mail. The query is due when `after_the_end` has passed since the job ended.
///
/// # Errors
/// [`Error::Database`].
pub async fn ask_again(pool: &PgPool, mail: &UnreportedMail, after_the_end: Duration) -> Result<(), Error> {
    sqlx::query!(
        "
        update email_reconciliations
        set asks = asks + 1, next_ask_at = ended_at + make_interval(secs => $2)
        where job_id = $1
        ",
        mail.job.0,
        after_the_end.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Removes a mail from the list, because its final status is known or no longer expected.
///
/// # Errors
/// [`Error::Database`].
pub async fn settle(pool: &PgPool, mail: &UnreportedMail) -> Result<(), Error> {
    sqlx::query!("delete from email_reconciliations where job_id = $1", mail.job.0).execute(pool).await?;
    Ok(())
}

/// Records in a mail's job that Mailgun has no trace of the mail. Returns false if this has already been recorded, or
/// if a report about the mail has arrived. A later report about the mail undoes the record.
///
/// # Errors
/// [`Error::Database`].
pub async fn mark_no_trace(pool: &PgPool, mail: &UnreportedMail) -> Result<bool, Error> {
    let marked = sqlx::query!(
        "
        update email_jobs
        set code = case when state = 'sent' then 'no_trace' else code end,
          message = case
            when state = 'sent' then 'Mailgun accepted the mail, but half an hour later Mailgun had no trace of it.'
            else left(concat_ws(' ', message, 'Mailgun has no trace of the mail: it was not sent.'), 1000)
          end
        where id = $1
          and finished_at = $2
          and delivery is null
          and coalesce(message, '') not like '%no trace of %'
        ",
        mail.job.0,
        mail.ended_at,
    )
    .execute(pool)
    .await?;
    Ok(marked.rows_affected() == 1)
}
