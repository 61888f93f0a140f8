//! Taking jobs out of the queue, and keeping hold of them.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{Error, JobId, Lease, postgres::error::is_unique_violation};

/// How to claim.
#[derive(Debug, Clone, Copy)]
pub struct ClaimOptions<'a> {
    /// Name of the worker, for operators: at most 128 bytes.
    pub worker: &'a str,
    /// How long the jobs are held unless the lease is renewed.
    pub lease: Duration,
    /// At most so many.
    pub limit: i64,
    /// Whether this claim is an open breaker's probe, which alone passes it.
    pub probe: bool,
}

/// A job that this worker holds.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The hold.
    pub lease: Lease,
    /// Who is to get the link.
    pub recipient: String,
    /// Where the link leads.
    pub callback_url: String,
    /// Which attempt this is, from 1.
    pub attempt: i16,
    /// When the request was accepted.
    pub created_at: DateTime<Utc>,
    /// From the request to this claim.
    pub waited: Duration,
    /// From when it was due (`run_at`: the request, or the end of a retry's wait) to this claim.
    pub due_for: Duration,
    /// Of the request.
    pub request_id: String,
    /// Of the request, if it had one.
    pub traceparent: Option<String>,
    /// The link that an earlier attempt made, if any.
    pub link: Option<SealedLink>,
}

/// A link that an earlier attempt made and may have mailed.
#[derive(Debug, Clone)]
pub struct SealedLink {
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The mail's Message-Id.
    pub message_id: String,
    /// Since Supabase made it.
    pub age: Duration,
}

/// Makes due the retrying jobs whose time has come. Its own statement, so that a claim never steps over jobs
/// that are not due.
///
/// # Errors
/// [`Error::Database`].
pub async fn promote_due(pool: &PgPool) -> Result<u64, Error> {
    let promoted = sqlx::query!(
        "
        update email_jobs_open
        set state = 'queued'
        where id in (
          select id from email_jobs_open
          where state = 'retrying'
            and run_at <= clock_timestamp()
          order by run_at
          limit 1000
          for update skip locked
        )
        ",
    )
    .execute(pool)
    .await?;
    Ok(promoted.rows_affected())
}

/// How long until the next retrying job is due: zero if one is overdue, `None` if there is none.
///
/// # Errors
/// [`Error::Database`].
pub async fn next_due(pool: &PgPool) -> Result<Option<Duration>, Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from min(run_at) - clock_timestamp())::float8
        from email_jobs_open
        where state = 'retrying'
        "#,
    )
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// Takes jobs from the beginning of the queue: none whose recipient has one running, none past its deadline, none
/// while a breaker is open or an upstream asked for a pause. Who claims again and again does so by a
/// [`QueueCursor`](crate::QueueCursor).
///
/// # Errors
/// [`Error::Database`].
pub async fn claim(pool: &PgPool, options: ClaimOptions<'_>) -> Result<Vec<ClaimedJob>, Error> {
    Ok(claim_behind(pool, options, START).await?.jobs)
}

/// Before all places.
pub(crate) const START: i64 = i64::MIN;

/// What a claim took.
pub(crate) struct ClaimBatch {
    pub(crate) jobs: Vec<ClaimedJob>,
    /// The last place of them.
    pub(crate) last: Option<i64>,
}

/// Takes jobs that stand behind a place.
pub(crate) async fn claim_behind(pool: &PgPool, options: ClaimOptions<'_>, place: i64) -> Result<ClaimBatch, Error> {
    loop {
        match try_claim(pool, options, place).await {
            // Another worker has just begun a job of a recipient of ours; with a new snapshot that shows.
            Err(error) if is_unique_violation(&error) => {}
            claimed => return Ok(claimed?),
        }
    }
}

async fn try_claim(pool: &PgPool, options: ClaimOptions<'_>, place: i64) -> Result<ClaimBatch, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        with next as (
          select id
          from email_jobs_open as waiting
          where state = 'queued'
            and place > $5
            and deadline_at > clock_timestamp()
            and not exists (
              select from email_jobs_open as running
              where running.recipient = waiting.recipient
                and (running.state = 'running') is true
              -- Looked up for each, by the recipient, and said as that index has it: a join would compare each with
              -- all that run, and so would a look by their leases.
              offset 0
            )
            and not exists (
              select from upstreams
              where (open_since is not null and not $4)
                or paused_until > clock_timestamp()
            )
          order by place
          limit $3
          for update skip locked
        )
        update email_jobs_open as job
        set
          state = 'running',
          attempt = attempt + 1,
          attempted_at = clock_timestamp(),
          worker = $1,
          lease_token = nextval('email_jobs_lease_token_seq'),
          lease_expires_at = clock_timestamp() + make_interval(secs => $2)
        from next
        where job.id = next.id
        returning
          job.id,
          lease_token as "lease_token!",
          recipient,
          callback_url,
          attempt,
          created_at,
          extract(epoch from clock_timestamp() - created_at)::float8 as "waited!",
          extract(epoch from clock_timestamp() - run_at)::float8 as "due_for!",
          request_id,
          traceparent,
          sealed_link,
          message_id,
          extract(epoch from clock_timestamp() - link_created_at)::float8 as link_age,
          place
        "#,
        options.worker,
        options.lease.as_secs_f64(),
        options.limit,
        options.probe,
        place,
    )
    .fetch_all(pool)
    .await?;
    let last = rows.iter().map(|row| row.place).max();
    let jobs = rows
        .into_iter()
        .map(|row| ClaimedJob {
            lease: Lease { job: JobId(row.id), token: row.lease_token },
            recipient: row.recipient,
            callback_url: row.callback_url,
            attempt: row.attempt,
            created_at: row.created_at,
            waited: seconds(row.waited),
            due_for: seconds(row.due_for),
            request_id: row.request_id,
            traceparent: row.traceparent,
            link: match (row.sealed_link, row.message_id, row.link_age) {
                (Some(sealed), Some(message_id), Some(age)) => {
                    Some(SealedLink { sealed, message_id, age: seconds(age) })
                }
                _ => None,
            },
        })
        .collect();
    Ok(ClaimBatch { jobs, last })
}

/// A difference of times that may come out negative where a clock was set back.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Renews leases and tells which are still held. One that is missing in the answer is lost: taken by another worker,
/// or run out. (One that has run out is not renewed although nobody has taken it yet: a rescue that has just looked
/// may take it the next moment from a worker that feels safe.)
///
/// # Errors
/// [`Error::Database`]: nothing was renewed.
pub async fn renew_leases(pool: &PgPool, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, Error> {
    let (ids, tokens) = columns(leases);
    let rows = sqlx::query!(
        r#"
        update email_jobs_open as job
        set lease_expires_at = clock_timestamp() + make_interval(secs => $3)
        from unnest($1::uuid[], $2::bigint[]) as held (id, lease_token)
        where job.id = held.id
          and job.lease_token = held.lease_token
          and lease_expires_at > clock_timestamp()
        returning job.id, job.lease_token as "lease_token!"
        "#,
        &ids,
        &tokens,
        lease.as_secs_f64(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| Lease { job: JobId(row.id), token: row.lease_token }).collect())
}

/// Leases as the two columns that statements take.
pub(crate) fn columns<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> (Vec<Uuid>, Vec<i64>) {
    leases.into_iter().map(|lease| (lease.job.0, lease.token)).unzip()
}
