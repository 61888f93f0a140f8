//! Claims jobs from the queue, and renews their leases.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::finish::{Finish, JobEnd, finish};
use crate::{
    model::{
        callback_url::CallbackUrl,
        email::Email,
        failure::Failure,
        job_id::{JobId, Lease, in_lock_order, lease_columns},
        shown_host::ShownHost,
        upstream::Upstream,
    },
    monitor::upstreams::ProbeOrder,
    postgres::error::{Error, is_unique_violation},
};

/// The options of a claim.
#[derive(Debug, Clone, Copy)]
pub struct ClaimOptions<'a> {
    /// Name of the worker, at most 128 bytes.
    pub worker: &'a str,
    /// How long the leases last unless they are renewed.
    pub lease: Duration,
    /// Maximum number of jobs to claim.
    pub limit: i64,
}

/// A job that was claimed, with its lease.
#[derive(Debug, Clone)]
pub struct ClaimedJob {
    /// The lease.
    pub lease: Lease,
    /// The address that the link is mailed to.
    pub recipient: Email,
    /// The URL that the link takes the person to.
    pub callback_url: CallbackUrl,
    /// The portal's host as the mail shows it. `None` if an api version without this field added the job.
    pub shown_host: Option<ShownHost>,
    /// The mail's language, a BCP 47 tag. `None` if an api version without this field added the job.
    pub language: Option<String>,
    /// The time zone in which the mail shows times, a name from the tz database. `None` for UTC.
    pub time_zone: Option<String>,
    /// Id of the portal whose settings the mail uses. `None` if the deployment has no portals, or if an api version
    /// without this field added the job.
    pub portal: Option<String>,
    /// Number of this attempt, starting at 1.
    pub attempt: i16,
    /// When the job was added to the queue.
    pub created_at: DateTime<Utc>,
    /// When the person made the request. Earlier than `created_at` if this job is an operator's retry.
    pub requested_at: DateTime<Utc>,
    /// Time from `created_at` to this claim.
    pub waited: Duration,
    /// Time from when the job was due (`run_at`) to this claim.
    pub due_for: Duration,
    /// The request's `X-Request-Id`.
    pub request_id: String,
    /// The request's W3C `traceparent`, if it had one.
    pub traceparent: Option<String>,
    /// Code of the last failure, if there was one.
    pub code: Option<String>,
    /// The upstream whose last failure for this job may have concerned only this recipient. `None` if there was no such
    /// failure.
    pub suspected_upstream: Option<Upstream>,
    /// The upstream that refused the job and then succeeded for another recipient, if there is one. If this upstream
    /// refuses the job again, the refusal concerns only this recipient. The value is read at the claim, because a
    /// success during the attempt may mark the end of a fault that concerned all recipients.
    pub personally_refused_by: Option<Upstream>,
    /// Whether an upstream was stopped or had suspects at the time of the claim. If true, a success of this attempt
    /// must be recorded.
    pub has_suspects: bool,
    /// The link from an earlier attempt, if there is one.
    pub link: Option<SealedLink>,
}

/// A link that an earlier attempt created and may have mailed.
#[derive(Debug, Clone)]
pub struct SealedLink {
    /// The ciphertext.
    pub sealed: Vec<u8>,
    /// The mail's Message-Id, with angle brackets.
    pub message_id: String,
    /// Time since Supabase created the link.
    pub age: Duration,
}

/// Queues up to 1,000 retrying jobs whose `run_at` has passed, and returns their number. This is a separate statement,
/// so that claims never have to skip jobs that are not due.
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

/// Time until the next retrying job is due or the next pause of a portal ends, whichever is sooner. Zero if a job is
/// overdue. `None` if there is no retrying job and no paused portal.
///
/// # Errors
/// [`Error::Database`].
pub async fn next_due(pool: &PgPool) -> Result<Option<Duration>, Error> {
    let seconds = sqlx::query_scalar!(
        r#"
        select extract(epoch from least(
          (select min(run_at) from email_jobs_open where state = 'retrying'),
          (select min(ends_at) from operator_pauses where portal is not null and ends_at > clock_timestamp())
        ) - clock_timestamp())::float8
        "#,
    )
    .fetch_one(pool)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

/// Claims jobs from the start of the queue. Skips jobs whose recipient has a running job, jobs past their deadline, and
/// the jobs of paused portals. Claims nothing while an upstream is stopped or has requested a pause, or while an
/// operator has paused mail, Supabase or Mailgun. To claim repeatedly, use a [`QueueCursor`](crate::QueueCursor).
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn claim(pool: &PgPool, options: ClaimOptions<'_>) -> Result<Vec<ClaimedJob>, Error> {
    Ok(claim_after(pool, options, START).await?.jobs)
}

/// A place before all jobs in the queue.
pub(crate) const START: i64 = i64::MIN;

/// The result of a claim.
pub(crate) struct ClaimBatch {
    pub(crate) jobs: Vec<ClaimedJob>,
    /// The last queue place among the claimed rows, including rows that could not be read.
    pub(crate) last: Option<i64>,
}

/// Claims jobs after a place in the queue. A job with invalid values, for example because its row was edited by hand,
/// ends as failed, so that it cannot block other jobs.
pub(crate) async fn claim_after(pool: &PgPool, options: ClaimOptions<'_>, place: i64) -> Result<ClaimBatch, Error> {
    loop {
        match try_claim(pool, options, place).await {
            Ok((batch, unreadable)) => {
                let found_only_unreadable = batch.jobs.is_empty() && !unreadable.is_empty();
                if !unreadable.is_empty() {
                    finish(pool, &unreadable).await?;
                }
                if !found_only_unreadable {
                    return Ok(batch);
                }
            }
            // Another worker has just claimed a job for one of these recipients. The next try will see that job.
            Err(error) if is_unique_violation(&error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A row of `email_jobs_open` that a claim returns.
struct ClaimedRow {
    id: Uuid,
    lease_token: i64,
    recipient: String,
    callback_url: String,
    shown_host: Option<String>,
    language: Option<String>,
    time_zone: Option<String>,
    portal: Option<String>,
    attempt: i16,
    created_at: DateTime<Utc>,
    requested_at: DateTime<Utc>,
    waited: f64,
    due_for: f64,
    request_id: String,
    traceparent: Option<String>,
    sealed_link: Option<Vec<u8>>,
    message_id: Option<String>,
    link_age: Option<f64>,
    place: i64,
    code: Option<String>,
    suspected_upstream: Option<Upstream>,
    personally_refused_by: Option<Upstream>,
    has_suspects: bool,
}

/// `sqlx::query_as!` for [`ClaimedRow`]s. `$next` selects the ids to claim. It is a list of string literals with `+`
/// between them, and its own parameters start at $3.
macro_rules! claim_rows {
    ($options:expr, [$($next:tt)+], $($parameter:expr),* $(,)?) => {
        sqlx::query_as!(
            ClaimedRow,
            "with next as (" + $($next)+ + r#"
            )
            update email_jobs_open as job
            set
              state = 'running',
              attempt = attempt + 1,
              attempted_at = clock_timestamp(),
              worker = $1,
              lease_token = nextval('email_jobs_lease_token_seq'),
              lease_expires_at = clock_timestamp() + make_interval(secs => $2),
              probed_at = case when next.is_probe then clock_timestamp() else job.probed_at end
            from next
            where job.id = next.id
            returning
              job.id,
              lease_token as "lease_token!",
              recipient,
              callback_url,
              shown_host,
              language,
              time_zone,
              portal,
              attempt,
              created_at,
              coalesce(requested_at, created_at) as "requested_at!",
              extract(epoch from clock_timestamp() - created_at)::float8 as "waited!",
              extract(epoch from clock_timestamp() - run_at)::float8 as "due_for!",
              request_id,
              traceparent,
              sealed_link,
              message_id,
              extract(epoch from clock_timestamp() - link_created_at)::float8 as link_age,
              place,
              code,
              suspected_upstream as "suspected_upstream: Upstream",
              (
                select name from upstreams where name = suspected_upstream and last_success_at > refused_at
              ) as "personally_refused_by: Upstream",
              exists (select from upstreams where stopped_by is not null or suspects <> '{}') as "has_suspects!"
            "#,
            $options.worker,
            $options.lease.as_secs_f64(),
            $($parameter),*
        )
    };
}

/// Claims one job as a probe: the first, in the order `$order`, of the jobs that `$condition` selects.
macro_rules! probe_rows {
    ($pool:expr, $options:expr, $condition:tt, $order:tt) => {
        claim_rows!(
            $options,
            ["
        select id, true as is_probe
        from email_jobs_open as waiting
        where state = 'queued'
          and "
                + $condition
                + "
          and deadline_at > clock_timestamp()
          and not exists (
            select from email_jobs_open as running
            where running.recipient = waiting.recipient
              and (running.state = 'running') is true
            offset 0
          )
          and not exists (select from upstreams where paused_until > clock_timestamp())
          and not exists (select from operator_pauses where portal is null and ends_at > clock_timestamp())
          and (
            waiting.portal is null
            or waiting.portal <> all (
              array(select portal from operator_pauses where portal is not null and ends_at > clock_timestamp())
            )
          )
          and (select outbox_suits('worker'))
        order by "
                + $order
                + "
        limit 1
        for update skip locked"],
        )
        .fetch_all($pool)
    };
}

async fn try_claim(
    pool: &PgPool,
    options: ClaimOptions<'_>,
    place: i64,
) -> Result<(ClaimBatch, Vec<Finish>), sqlx::Error> {
    let rows = claim_rows!(
        options,
        ["
        select id, false as is_probe
        from email_jobs_open as waiting
        where state = 'queued'
          and place > $4
          and deadline_at > clock_timestamp()
          and not exists (
            select from email_jobs_open as running
            where running.recipient = waiting.recipient
              and (running.state = 'running') is true
            -- `offset 0` makes Postgres look up the recipient of each waiting job in the index on the recipient and on
            -- the expression `state = 'running'`. A join would compare each waiting job with all running jobs.
            offset 0
          )
          and not exists (
            select from upstreams
            where stopped_by is not null
              or paused_until > clock_timestamp()
          )
          and not exists (select from operator_pauses where portal is null and ends_at > clock_timestamp())
          and (
            waiting.portal is null
            or waiting.portal <> all (
              array(select portal from operator_pauses where portal is not null and ends_at > clock_timestamp())
            )
          )
          and (select outbox_suits('worker'))
        order by place
        limit $3
        for update skip locked"],
        options.limit,
        place,
    )
    .fetch_all(pool)
    .await?;
    Ok(read_rows(rows))
}

/// Claims one job as a probe of a stopped upstream: a job that has never been probed, or else the job that was probed
/// longest ago. This way, a job that always fails cannot use up every probe. Call it only after
/// [`take_probe`](crate::upstreams::take_probe).
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn claim_probe(
    pool: &PgPool,
    options: ClaimOptions<'_>,
    order: ProbeOrder,
) -> Result<Option<ClaimedJob>, Error> {
    // The first statement reads the queue in order and stops at the first job that has never been probed. The second
    // runs only if there is no such job. That happens only in a short queue, so sorting is cheap.
    let rows = match order {
        ProbeOrder::OldestFirst => probe_rows!(pool, options, "probed_at is null", "place").await?,
        ProbeOrder::NewestFirst => probe_rows!(pool, options, "probed_at is null", "place desc").await?,
    };
    if let Some(job) = first_job(pool, rows).await? {
        return Ok(Some(job));
    }
    let rows = probe_rows!(pool, options, "probed_at is not null", "probed_at, place").await?;
    first_job(pool, rows).await
}

async fn first_job(pool: &PgPool, rows: Vec<ClaimedRow>) -> Result<Option<ClaimedJob>, Error> {
    let (batch, unreadable) = read_rows(rows);
    if !unreadable.is_empty() {
        finish(pool, &unreadable).await?;
    }
    Ok(batch.jobs.into_iter().next())
}

/// Splits rows into claimed jobs and, for jobs with invalid values, the writes that end them as failed.
fn read_rows(rows: Vec<ClaimedRow>) -> (ClaimBatch, Vec<Finish>) {
    let last = rows.iter().map(|row| row.place).max();
    let mut batch = ClaimBatch { jobs: Vec::with_capacity(rows.len()), last };
    let mut unreadable = Vec::new();
    for row in rows {
        let lease = Lease { job: JobId(row.id), token: row.lease_token };
        let recipient = Email::from_stored(&row.recipient)
            .map_err(|_| ("recipient", "the value is not an email address".to_owned()));
        let callback_url = CallbackUrl::parse(row.callback_url).map_err(|error| ("callback_url", error.to_string()));
        let shown_host = row.shown_host.map(ShownHost::parse).transpose();
        let shown_host = shown_host.map_err(|error| ("shown_host", error.to_string()));
        let (recipient, callback_url, shown_host) = match (recipient, callback_url, shown_host) {
            (Ok(recipient), Ok(callback_url), Ok(shown_host)) => (recipient, callback_url, shown_host),
            (Err((column, why)), ..) | (_, Err((column, why)), _) | (.., Err((column, why))) => {
                unreadable.push(unreadable_job(lease, column, &why));
                continue;
            }
        };
        batch.jobs.push(ClaimedJob {
            lease,
            recipient,
            callback_url,
            shown_host,
            language: row.language,
            time_zone: row.time_zone,
            portal: row.portal,
            attempt: row.attempt,
            created_at: row.created_at,
            requested_at: row.requested_at,
            waited: seconds(row.waited),
            due_for: seconds(row.due_for),
            request_id: row.request_id,
            traceparent: row.traceparent,
            code: row.code,
            suspected_upstream: row.suspected_upstream,
            personally_refused_by: row.personally_refused_by,
            has_suspects: row.has_suspects,
            link: match (row.sealed_link, row.message_id, row.link_age) {
                (Some(sealed), Some(message_id), Some(age)) => {
                    Some(SealedLink { sealed, message_id, age: seconds(age) })
                }
                _ => None,
            },
        });
    }
    (batch, unreadable)
}

/// How a job ends if its row contains a value that no request can have written.
fn unreadable_job(lease: Lease, column: &str, why: &str) -> Finish {
    let message =
        format!("The job's {column} cannot be used: {why}. The row was changed after the request was accepted.");
    Finish { lease, end: JobEnd::Failed(Failure::new("job_unreadable", message)), step: None }
}

/// Converts a number of seconds. Returns zero if the number is negative, which can happen if a clock has been set back.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// Renews leases and returns the leases that are still held. The other leases are lost: they have expired, their jobs
/// have ended, or another worker has claimed the jobs. An expired lease is never renewed, even if no other worker has
/// claimed the job yet, because a rescue may be about to requeue the job.
///
/// # Errors
/// [`Error::Database`]. If only the server's answer was lost, the leases were renewed nevertheless.
pub async fn renew_leases(pool: &PgPool, leases: &[Lease], lease: Duration) -> Result<Vec<Lease>, Error> {
    let (ids, tokens) = lease_columns(in_lock_order(leases, |lease| lease.job));
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
