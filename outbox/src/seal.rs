//! The last look before a mail goes out: stores the sealed link, and says whether to send at all.

use std::time::Duration;

use sqlx::PgPool;

use crate::{Attempt, Error, Lease, attempts::Journal, error::persist};

/// A link that Supabase has just made, sealed.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The Message-Id that the mail will carry, with its angle brackets.
    pub message_id: String,
    /// Time since the request for it began: its lifetime counts from there.
    pub age: Duration,
}

/// Whether a mail may go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// Send it. Of the time that was there until the deadline, so much is left.
    Send {
        /// Until the job's deadline.
        time_left: Duration,
    },
    /// Not now: Mailgun asked for a pause, or its breaker is open. The link is stored.
    Hold {
        /// Until the pause ends; zero for a breaker.
        pause: Duration,
    },
    /// An earlier try was taken, as Mailgun has reported since: the job has ended as sent, and needs no copy.
    Taken,
    /// A newer request of the recipient waits: the job has ended as superseded.
    Superseded,
    /// The deadline has passed: the job has ended as expired.
    Expired,
    /// Another worker holds the job: nothing was changed.
    LeaseLost,
}

/// Stores a job's link (or keeps the one that it has) and clears the job for sending, in one statement: a job
/// whose recipient has a newer one waiting, whose mail is known to have been taken, or whose deadline has passed, ends
/// here, and nothing is mailed.
///
/// # Errors
/// [`Error::Database`].
pub async fn seal(
    pool: &PgPool,
    lease: Lease,
    link: Option<&NewLink>,
    journal: Option<(&Attempt, i16, &str)>,
) -> Result<Cleared, Error> {
    let journal = Journal::of(journal.map(|(attempt, number, worker)| (lease.job, attempt, number, worker)));
    persist(pool, || seal_once(pool, lease, link, &journal)).await
}

async fn seal_once(
    pool: &PgPool,
    lease: Lease,
    link: Option<&NewLink>,
    journal: &Journal,
) -> Result<Cleared, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        with journal as (
          insert into email_attempts
          select attempt.* from jsonb_populate_recordset(null::email_attempts, $6) as attempt
          on conflict do nothing
        ),
        mine as (
          select
            id,
            lease_token,
            extract(epoch from deadline_at - clock_timestamp())::float8 as time_left,
            case
              when exists (
                select from email_jobs_open as newer
                where newer.recipient = job.recipient
                  and newer.state in ('queued', 'retrying')
                  and newer.seq > job.seq
              ) then 'superseded'
              -- Reported of the mail with this very link.
              when $3::bytea is null and delivery is not null then 'sent'
              when deadline_at <= clock_timestamp() then 'expired'
            end as end_state
          from email_jobs_open as job
          where id = $1
            and lease_token = $2
        ),
        gone as (
          delete from email_jobs_open as job
          using mine
          where job.id = mine.id
            and job.lease_token = mine.lease_token
            and end_state is not null
          returning job, end_state
        ),
        history as (
          insert into email_jobs
          select ended.*
          from gone,
            email_job_ended(
              gone.job,
              gone.end_state,
              case gone.end_state when 'superseded' then 'newer_request' when 'expired' then 'deadline_passed' end,
              case gone.end_state
                when 'superseded' then 'A newer request of this recipient took its place before this one was mailed.'
                when 'expired' then 'Its deadline passed before it could be mailed.'
              end,
              clock_timestamp()
            ) as ended
          returning state
        ),
        kept as (
          update email_jobs_open as job
          set
            sealed_link = coalesce($3, sealed_link),
            message_id = coalesce($4, message_id),
            -- What was reported was another mail, with a link that is dead by now.
            delivery = case when $3 is null then delivery end,
            delivery_at = case when $3 is null then delivery_at end,
            link_created_at = case when $3 is null then link_created_at else clock_timestamp() - make_interval(secs => $5) end
          from mine
          where job.id = mine.id
            and job.lease_token = mine.lease_token
            and end_state is null
          returning time_left
        )
        select
          (select time_left from kept) as time_left,
          (select state from history) as end_state,
          open_since is not null as "open!",
          extract(epoch from paused_until - clock_timestamp())::float8 as pause
        from upstreams
        where name = 'mailgun'
        "#,
        lease.job.0,
        lease.token,
        link.map(|link| link.sealed.as_slice()),
        link.map(|link| link.message_id.as_str()),
        link.map_or(0.0, |link| link.age.as_secs_f64()),
        journal.as_json(),
    )
    .fetch_one(pool)
    .await?;
    let pause = Duration::try_from_secs_f64(row.pause.unwrap_or_default()).unwrap_or_default();
    Ok(match (row.time_left, row.end_state.as_deref()) {
        (Some(_), _) if row.open || !pause.is_zero() => Cleared::Hold { pause },
        (Some(left), _) => Cleared::Send { time_left: Duration::try_from_secs_f64(left).unwrap_or_default() },
        (None, Some("superseded")) => Cleared::Superseded,
        (None, Some("sent")) => Cleared::Taken,
        (None, Some(_)) => Cleared::Expired,
        (None, None) => Cleared::LeaseLost,
    })
}
