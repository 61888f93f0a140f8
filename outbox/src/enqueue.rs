//! The door's one write: quotas, latest-wins and the job, in one transaction for a batch of requests.
//!
//! Requests of one recipient, from whatever replica of the api, take their turn at the recipient's quota row;
//! what is read after that lock is the truth until the commit.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::{Email, Error, JobId, Quotas, error::persist};

/// A request that passed the door's checks.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Fresh id.
    pub id: JobId,
    /// Who is to get the link.
    pub recipient: Email,
    /// Where the link leads: at most 8 KiB.
    pub callback_url: String,
    /// The client's network, as the IP limit sees it: the second half of the tighter quota's key.
    pub client: String,
    /// 1 to 64 bytes.
    pub request_id: String,
    /// A valid W3C `traceparent`.
    pub traceparent: Option<String>,
}

/// What a request must meet to become a job.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Quotas of a recipient, whoever asks.
    pub per_recipient: Quotas,
    /// Tighter quotas of a recipient and one client.
    pub per_recipient_and_client: Quotas,
    /// Within this time the same request for the same recipient is a double click.
    pub duplicate_window: Duration,
    /// A job that is not sent this long after its request expires.
    pub deadline: Duration,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// Its job waits for a worker.
    Queued,
    /// A double click: the first click's mail is the answer, and this row is history at once.
    Duplicate,
    /// A quota of the recipient refuses it; nothing was written or used up.
    Limited {
        /// Until one more is let in.
        retry_after: Duration,
    },
}

/// Takes a batch of requests in, in their order, and answers for each. Committed when it returns.
///
/// # Errors
/// [`Error::Database`]: nothing was accepted.
pub async fn enqueue(pool: &PgPool, admission: &Admission, requests: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
    persist(pool, || async {
        let mut transaction = pool.begin().await?;
        let mut quotas = lock_quotas(&mut transaction, requests).await?;
        let latest = latest_jobs(&mut transaction, admission, requests).await?;
        let outcomes = decide(admission, &mut quotas, latest, requests);
        if outcomes.iter().all(|outcome| matches!(outcome, Enqueued::Limited { .. })) {
            transaction.rollback().await?;
            return Ok(outcomes);
        }
        let places = supersede_waiting(&mut transaction, requests, &outcomes).await?;
        write(&mut transaction, admission, &quotas, &places, requests, &outcomes).await?;
        transaction.commit().await?;
        Ok(outcomes)
    })
    .await
}

/// Quota rows that are locked, by key, and the time of the lock.
struct LockedQuotas {
    tats: HashMap<String, Vec<DateTime<Utc>>>,
    now: DateTime<Utc>,
}

fn client_key(request: &NewJob) -> String {
    format!("{} {}", request.recipient.mailbox(), request.client)
}

/// Locks the quota rows of all recipients and clients of the batch, in the order of their keys, so that two
/// batches cannot wait for each other in a circle; makes those that are missing.
async fn lock_quotas(connection: &mut PgConnection, requests: &[NewJob]) -> Result<LockedQuotas, sqlx::Error> {
    let mut keys: Vec<String> = requests.iter().flat_map(|r| [r.recipient.mailbox(), client_key(r)]).collect();
    keys.sort_unstable();
    keys.dedup();
    let rows = sqlx::query!(
        r#"
        insert into recipient_quotas (key)
        select key from unnest($1::text[]) as key
        -- Changes nothing, but locks the row that is there.
        on conflict (key) do update set key = excluded.key
        returning key, tats, clock_timestamp() as "now!"
        "#,
        &keys,
    )
    .fetch_all(connection)
    .await?;
    // The last row was locked last: nothing that is decided on is newer.
    let now = rows.iter().map(|row| row.now).max().unwrap_or_default();
    Ok(LockedQuotas { tats: rows.into_iter().map(|row| (row.key, row.tats)).collect(), now })
}

/// The callback URL of each recipient's newest job, where that job is young enough to make the same request a
/// double click and is open or was sent. (One that failed is worth asking for again.)
async fn latest_jobs(
    connection: &mut PgConnection,
    admission: &Admission,
    requests: &[NewJob],
) -> Result<HashMap<String, String>, sqlx::Error> {
    let recipients: Vec<String> = requests.iter().map(|r| r.recipient.to_string()).collect();
    let rows = sqlx::query!(
        r#"
        select distinct on (recipient) recipient, callback_url
        from email_jobs
        where recipient = any($1)
          and created_at > statement_timestamp() - make_interval(secs => $2)
          -- Prunes all partitions but the open one and today's.
          and (finished_at = 'infinity'
            or finished_at between statement_timestamp() - make_interval(secs => $2) and statement_timestamp() + interval '1 minute')
          and state in ('queued', 'running', 'retrying', 'sent')
        order by recipient, seq desc
        "#,
        &recipients,
        admission.duplicate_window.as_secs_f64(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.recipient, row.callback_url)).collect())
}

/// Who is let in, in the order of arrival. Those let in move the quotas; nobody else does.
fn decide(
    admission: &Admission,
    quotas: &mut LockedQuotas,
    mut latest: HashMap<String, String>,
    requests: &[NewJob],
) -> Vec<Enqueued> {
    let mut outcomes = Vec::with_capacity(requests.len());
    for request in requests {
        if latest.get(request.recipient.as_str()) == Some(&request.callback_url) {
            outcomes.push(Enqueued::Duplicate);
            continue;
        }
        let (recipient_key, client_key) = (request.recipient.mailbox(), client_key(request));
        let tats = |key: &str| quotas.tats.get(key).map_or(&[][..], Vec::as_slice);
        let recipient = admission.per_recipient.admit(tats(&recipient_key), quotas.now);
        let client = admission.per_recipient_and_client.admit(tats(&client_key), quotas.now);
        match (recipient, client) {
            (Ok(recipient), Ok(client)) => {
                quotas.tats.insert(recipient_key, recipient);
                quotas.tats.insert(client_key, client);
                latest.insert(request.recipient.to_string(), request.callback_url.clone());
                outcomes.push(Enqueued::Queued);
            }
            (recipient, client) => {
                let retry_after = recipient.err().max(client.err()).unwrap_or_default();
                outcomes.push(Enqueued::Limited { retry_after });
            }
        }
    }
    outcomes
}

/// Ends the waiting jobs of all recipients that got a newer one, and tells their places in the queue.
async fn supersede_waiting(
    connection: &mut PgConnection,
    requests: &[NewJob],
    outcomes: &[Enqueued],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let recipients: Vec<String> =
        queued(requests, outcomes).map(|(_, request)| request.recipient.to_string()).collect();
    let rows = sqlx::query!(
        r#"
        with gone as (
          delete from email_jobs_open as job
          where recipient = any($1)
            and state in ('queued', 'retrying')
          returning job
        )
        insert into email_jobs
        select ended.*
        from gone,
          email_job_ended(gone.job, 'superseded', 'newer_request', 'A newer request of this recipient took its place.', clock_timestamp()) as ended
        returning recipient, place
        "#,
        &recipients,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.recipient, row.place)).collect())
}

fn queued<'a>(requests: &'a [NewJob], outcomes: &'a [Enqueued]) -> impl Iterator<Item = (usize, &'a NewJob)> {
    requests.iter().enumerate().filter(|(index, _)| outcomes[*index] == Enqueued::Queued)
}

/// Inserts a row per accepted request, moves the quotas on, and wakes the workers: one statement, one NOTIFY.
async fn write(
    connection: &mut PgConnection,
    admission: &Admission,
    quotas: &LockedQuotas,
    places: &HashMap<String, i64>,
    requests: &[NewJob],
    outcomes: &[Enqueued],
) -> Result<(), sqlx::Error> {
    // Of several of one recipient in the batch, only the last is open: the rest are history at once.
    let last: HashMap<&str, usize> = queued(requests, outcomes).map(|(i, r)| (r.recipient.as_str(), i)).collect();
    let mut rows = Rows::default();
    let mut tats = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let code = match outcomes[index] {
            Enqueued::Limited { .. } => continue,
            Enqueued::Duplicate => Some("duplicate"),
            Enqueued::Queued if last.get(request.recipient.as_str()) == Some(&index) => None,
            Enqueued::Queued => Some("newer_request"),
        };
        rows.push(request, places.get(request.recipient.as_str()).copied(), code);
        if outcomes[index] == Enqueued::Queued {
            tats.extend([request.recipient.mailbox(), client_key(request)]);
        }
    }
    tats.sort_unstable();
    tats.dedup();
    let mut quota_rows = QuotaRows::default();
    for key in tats {
        for tat in quotas.tats.get(&key).into_iter().flatten() {
            quota_rows.keys.push(key.clone());
            quota_rows.tats.push(*tat);
        }
    }
    sqlx::query!(
        r#"
        with charged as (
          update recipient_quotas
          set tats = moved.tats
          from (
            select key, array_agg(tat order by position) as tats
            from unnest($10::text[], $11::timestamptz[]) with ordinality as given (key, tat, position)
            group by key
          ) as moved
          where recipient_quotas.key = moved.key
        ),
        given as (
          -- nextval after the locks: of two requests of one recipient the later has the larger seq.
          select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
          from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
            with ordinality as given (id, recipient, mailbox, callback_url, request_id, traceparent, place, code, position)
          order by position
        ),
        added as (
          insert into email_jobs (
            id, state, recipient, mailbox, callback_url, code, message, created_at, run_at, deadline_at, finished_at,
            request_id, traceparent, place, seq)
          select
            id,
            case when code is null then 'queued' else 'superseded' end,
            recipient,
            mailbox,
            callback_url,
            code,
            case code
              when 'duplicate' then 'The same request came a moment before: its mail is the answer to both.'
              when 'newer_request' then 'A newer request of this recipient took its place.'
            end,
            now,
            now,
            now + make_interval(secs => $9),
            case when code is null then 'infinity' else now end,
            request_id,
            traceparent,
            coalesce(place, seq),
            seq
          from given
          returning state
        )
        -- No payload: equal notifications of one transaction are one.
        select pg_notify('email_jobs', '') from (select from added where state = 'queued' limit 1) as any_queued
        "#,
        &rows.ids,
        &rows.recipients,
        &rows.mailboxes,
        &rows.callback_urls,
        &rows.request_ids,
        &rows.traceparents as &[Option<String>],
        &rows.places as &[Option<i64>],
        &rows.codes as &[Option<String>],
        admission.deadline.as_secs_f64(),
        &quota_rows.keys,
        &quota_rows.tats,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The batch's new rows, a column each.
#[derive(Default)]
struct Rows {
    ids: Vec<uuid::Uuid>,
    recipients: Vec<String>,
    mailboxes: Vec<String>,
    callback_urls: Vec<String>,
    request_ids: Vec<String>,
    traceparents: Vec<Option<String>>,
    places: Vec<Option<i64>>,
    codes: Vec<Option<String>>,
}

impl Rows {
    fn push(&mut self, request: &NewJob, place: Option<i64>, code: Option<&str>) {
        self.ids.push(request.id.0);
        self.recipients.push(request.recipient.to_string());
        self.mailboxes.push(request.recipient.mailbox());
        self.callback_urls.push(request.callback_url.clone());
        self.request_ids.push(request.request_id.clone());
        self.traceparents.push(request.traceparent.clone());
        self.places.push(place);
        self.codes.push(code.map(str::to_owned));
    }
}

/// The quotas that moved, a row per window.
#[derive(Default)]
struct QuotaRows {
    keys: Vec<String>,
    tats: Vec<DateTime<Utc>>,
}
