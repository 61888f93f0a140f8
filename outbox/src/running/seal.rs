//! The last step before a mail is sent: stores the sealed link and decides whether to send the mail.

use std::{collections::HashMap, time::Duration};

use sqlx::PgConnection;

use super::step_records::{StepColumns, query_with_steps};
use crate::{
    model::{
        job_id::{JobId, Lease, in_lock_order, lease_columns},
        step::StepRecord,
    },
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// A link that Supabase has just created, in encrypted form.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The Message-Id of the mail, with angle brackets.
    pub message_id: String,
    /// Time since the call that created the link began. The link's lifetime is counted from the start of that call.
    pub age: Duration,
}

/// Whether to send a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendDecision {
    /// Send the mail.
    Send,
    /// Do not send the mail yet: Mailgun has requested a pause or is stopped. The link is stored.
    Hold {
        /// Time until the pause ends. Zero if Mailgun is stopped and has not requested a pause.
        pause: Duration,
    },
    /// Do not send the mail yet: an operator has paused mail, Mailgun or the job's portal. The link is stored.
    Paused,
    /// Mailgun has reported that it accepted the mail from an earlier attempt. The job has ended as sent.
    AlreadySent,
    /// A newer request for the recipient is waiting. The job has ended as superseded.
    Superseded,
    /// The deadline has passed. The job has ended as expired.
    Expired,
    /// An operator has cancelled the job. It has ended as cancelled.
    Cancelled,
    /// The job was not changed: the lease is stale, or an operator cancelled the job during the write.
    LeaseLost,
}

/// The states in which a seal can end a job.
#[derive(Debug, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum EndState {
    Superseded,
    Sent,
    Expired,
    Cancelled,
}

/// A job whose mail is about to be sent.
#[derive(Debug, Clone)]
pub struct Seal {
    /// The worker's lease.
    pub lease: Lease,
    /// The link, if it was just created. `None` to mail the stored link.
    pub link: Option<NewLink>,
    /// The step that created the link.
    pub step: Option<StepRecord>,
}

/// Stores the jobs' new links and decides for each job whether to send its mail, all in one statement. Returns the
/// decisions in the order of `seals`. A job that is superseded, already sent, expired or cancelled ends here.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub(crate) async fn seal_in(session: &mut Session, seals: &[Seal]) -> Result<Vec<SendDecision>, Error> {
    let sorted = in_lock_order(seals, |seal| seal.lease.job);
    let steps = StepColumns::collect(sorted.iter().map(|seal| (seal.lease.job, seal.step.as_ref())));
    let decisions = persist!(session, |connection, is_retry| seal_once(connection, &sorted, &steps, is_retry))?;
    Ok(seals.iter().map(|seal| decisions.get(&seal.lease).copied().unwrap_or(SendDecision::LeaseLost)).collect())
}

#[expect(clippy::too_many_lines, reason = "one statement")]
async fn seal_once(
    connection: &mut PgConnection,
    seals: &[&Seal],
    steps: &StepColumns<'_>,
    is_retry: bool,
) -> Result<HashMap<Lease, SendDecision>, sqlx::Error> {
    let (ids, tokens) = lease_columns(seals.iter().map(|seal| &seal.lease));
    let links = || seals.iter().map(|seal| seal.link.as_ref());
    let sealed: Vec<Option<&[u8]>> = links().map(|link| Some(link?.sealed.as_slice())).collect();
    let message_ids: Vec<Option<&str>> = links().map(|link| Some(link?.message_id.as_str())).collect();
    let ages: Vec<f64> = links().map(|link| link.map_or(0.0, |link| link.age.as_secs_f64())).collect();
    let rows = query_with_steps!(
        steps: steps,
        may_exist: is_retry,
        sql: r#"
        mine as (
          select
            given.*,
            job.recipient,
            job.probed_at,
            job.refused_at,
            job.suspected_upstream,
            case
              when job.cancelled_at is not null then 'cancelled'
              when exists (
                select from email_jobs_open as newer
                where newer.recipient = job.recipient
                  and (newer.state = 'running') is false
                  and newer.seq > job.seq
              ) then 'superseded'
              -- Mailgun has reported that it accepted the mail with the stored link.
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
              case gone.end_state
                when 'superseded' then 'newer_request'
                -- The code of the last failure, if there was one.
                when 'expired' then coalesce((gone.job).code, 'deadline_passed')
                when 'cancelled' then 'cancelled'
              end,
              case
                when gone.end_state = 'superseded' then
                  'A newer request from this recipient took its place before its mail was sent.'
                when gone.end_state = 'expired' and (gone.job).code is not null then (gone.job).message
                when gone.end_state = 'expired' then 'Its deadline passed before its mail could be sent.'
                when gone.end_state = 'cancelled' then 'An operator cancelled it before its mail was sent.'
              end,
              statement_timestamp()
            ) as ended
        ),
        -- Copy the times of the last probe and first refusal to the newer request, so that a request that arrives
        -- during a probe is not probed next.
        inherited as (
          update email_jobs_open as newer
          set probed_at = mine.probed_at, refused_at = mine.refused_at, suspected_upstream = mine.suspected_upstream
          from mine
          where end_state in ('superseded', 'cancelled')
            and newer.recipient = mine.recipient
            and (newer.state = 'running') is false
        ),
        kept as (
          update email_jobs_open as job
          set
            sealed_link = coalesce(mine.sealed_link, job.sealed_link),
            message_id = coalesce(mine.message_id, job.message_id),
            -- Earlier reports were about a mail with an older link, which no longer works.
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
            -- An operator may have cancelled the job since `mine` was read. If so, a rescue ends the job.
            and job.cancelled_at is null
          returning job.id, job.lease_token, job.portal
        ),
        cleared as (
          select id, lease_token, portal, null as end_state from kept
          union all
          select (job).id, (job).lease_token, (job).portal, end_state from gone
        )
        select
          id as "id!",
          lease_token as "lease_token!",
          end_state as "end_state: EndState",
          stopped_by is not null as "is_open!",
          exists (
            select from operator_pauses
            where ends_at > clock_timestamp()
              and (target in ('mail', 'mailgun') or portal = cleared.portal)
          ) as "is_paused!",
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
    Ok(rows
        .into_iter()
        .map(|row| {
            let lease = Lease { job: JobId(row.id), token: row.lease_token };
            let pause = Duration::try_from_secs_f64(row.pause.unwrap_or_default()).unwrap_or_default();
            let decision = match row.end_state {
                None if row.is_paused => SendDecision::Paused,
                None if row.is_open || !pause.is_zero() => SendDecision::Hold { pause },
                None => SendDecision::Send,
                Some(EndState::Superseded) => SendDecision::Superseded,
                Some(EndState::Sent) => SendDecision::AlreadySent,
                Some(EndState::Expired) => SendDecision::Expired,
                Some(EndState::Cancelled) => SendDecision::Cancelled,
            };
            (lease, decision)
        })
        .collect())
}
