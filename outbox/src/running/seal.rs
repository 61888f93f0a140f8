//! The last look before a mail goes out: stores the sealed link, and says whether to send at all.

use std::{collections::HashMap, time::Duration};

use sqlx::{PgConnection, PgPool};

use super::{
    attempts::{Journal, journalled},
    claim::columns,
};
use crate::{
    Error, JobId, JournalEntry, Lease,
    postgres::session::{Session, persist},
};

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
pub enum SendDecision {
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

/// A job that is about to be mailed.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The hold on it.
    pub lease: Lease,
    /// Its link, if it was made just now; none where the stored one is to be mailed.
    pub link: Option<NewLink>,
    /// The step that made the link.
    pub journal: Option<JournalEntry>,
}

/// Stores jobs' links (or keeps those that they have) and clears the jobs for sending, in one statement, and answers for
/// each in order: a job whose recipient has a newer one waiting, whose mail is known to have been taken, or whose deadline
/// has passed, ends here, and nothing is mailed.
///
/// # Errors
/// [`Error::Database`].
pub async fn seal(pool: &PgPool, seals: &[Seal]) -> Result<Vec<SendDecision>, Error> {
    seal_in(&mut Session::of(pool), seals).await
}

pub(crate) async fn seal_in(session: &mut Session, seals: &[Seal]) -> Result<Vec<SendDecision>, Error> {
    let journal = Journal::of(seals.iter().map(|seal| (seal.lease.job, &seal.journal)));
    let cleared = persist!(session, |connection, again| seal_once(connection, seals, &journal, again))?;
    Ok(seals.iter().map(|seal| cleared.get(&seal.lease).copied().unwrap_or(SendDecision::LeaseLost)).collect())
}

#[expect(clippy::too_many_lines, reason = "one statement")]
async fn seal_once(
    connection: &mut PgConnection,
    seals: &[Seal],
    journal: &Journal<'_>,
    again: bool,
) -> Result<HashMap<Lease, SendDecision>, sqlx::Error> {
    let (ids, tokens) = columns(seals.iter().map(|seal| &seal.lease));
    let links = || seals.iter().map(|seal| seal.link.as_ref());
    let sealed: Vec<Option<&[u8]>> = links().map(|link| Some(link?.sealed.as_slice())).collect();
    let message_ids: Vec<Option<&str>> = links().map(|link| Some(link?.message_id.as_str())).collect();
    let ages: Vec<f64> = links().map(|link| link.map_or(0.0, |link| link.age.as_secs_f64())).collect();
    let rows = journalled!(
        journal,
        again,
        r#"
        mine as (
          select
            given.*,
            extract(epoch from deadline_at - clock_timestamp())::float8 as time_left,
            case
              when exists (
                select from email_jobs_open as newer
                where newer.recipient = job.recipient
                  and (newer.state = 'running') is false
                  and newer.seq > job.seq
              ) then 'superseded'
              -- Reported of the mail with this very link.
              when given.sealed_link is null and delivery is not null then 'sent'
              when deadline_at <= clock_timestamp() then 'expired'
            end as end_state
          from unnest($12::uuid[], $13::bigint[], $14::bytea[], $15::text[], $16::float8[])
            as given (id, lease_token, sealed_link, message_id, age)
          join email_jobs_open as job on job.id = given.id and job.lease_token = given.lease_token
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
              statement_timestamp()
            ) as ended
        ),
        kept as (
          update email_jobs_open as job
          set
            sealed_link = coalesce(mine.sealed_link, job.sealed_link),
            message_id = coalesce(mine.message_id, job.message_id),
            -- What was reported was another mail, with a link that is dead by now.
            delivery = case when mine.sealed_link is null then job.delivery end,
            delivery_at = case when mine.sealed_link is null then job.delivery_at end,
            link_created_at = case
              when mine.sealed_link is null then job.link_created_at
              else clock_timestamp() - make_interval(secs => mine.age)
            end
          from mine
          where job.id = mine.id
            and job.lease_token = mine.lease_token
            and end_state is null
          returning job.id, job.lease_token, time_left
        ),
        cleared as (
          select id, lease_token, time_left, null as end_state from kept
          union all
          select (job).id, (job).lease_token, null, end_state from gone
        )
        select
          id as "id!",
          lease_token as "lease_token!",
          time_left,
          end_state,
          open_since is not null as "open!",
          extract(epoch from paused_until - clock_timestamp())::float8 as pause
        from cleared, upstreams
        where name = 'mailgun'
        "#,
        &ids,
        &tokens,
        &sealed as &[Option<&[u8]>],
        &message_ids as &[Option<&str>],
        &ages,
    )
    .fetch_all(connection)
    .await?;
    let cleared = rows.into_iter().map(|row| {
        let pause = Duration::try_from_secs_f64(row.pause.unwrap_or_default()).unwrap_or_default();
        let cleared = match (row.time_left, row.end_state.as_deref()) {
            (Some(_), _) if row.open || !pause.is_zero() => SendDecision::Hold { pause },
            (Some(left), _) => SendDecision::Send { time_left: Duration::try_from_secs_f64(left).unwrap_or_default() },
            (None, Some("superseded")) => SendDecision::Superseded,
            (None, Some("sent")) => SendDecision::Taken,
            (None, _) => SendDecision::Expired,
        };
        (Lease { job: JobId(row.id), token: row.lease_token }, cleared)
    });
    Ok(cleared.collect())
}
