//! The door's one write: quotas, latest-wins and the job, in one statement for a batch of requests.
//!
//! Requests of one recipient, from whatever replica of the api, take their turn at the recipient's quota row: what was
//! decided by a row that has changed meanwhile is refused by Postgres, and decided again. No lock is held while we think.

mod decide;
mod write;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool, types::Json};

use crate::{Email, Error, JobId, Quotas, error::persist, wake::notify};
use decide::decide;
use write::write;

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
    /// The recipient is suppressed: the row is history at once, as failed. The caller is told nothing of it.
    Suppressed,
    /// A quota of the recipient refuses it; nothing was written or used up.
    Limited {
        /// Until one more is let in.
        retry_after: Duration,
    },
}

/// Takes a batch of requests in, in their order, and answers for each. Committed when it returns, and the workers are
/// woken.
///
/// # Errors
/// [`Error::Database`]: nothing was accepted.
pub async fn enqueue(pool: &PgPool, admission: &Admission, requests: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
    let outcomes = enqueue_silently(pool, admission, requests).await?;
    // What was committed is found by the workers' poll, too.
    let _ = notify(pool).await;
    Ok(outcomes)
}

/// The same, and wakes nobody.
pub(crate) async fn enqueue_silently(
    pool: &PgPool,
    admission: &Admission,
    requests: &[NewJob],
) -> Result<Vec<Enqueued>, Error> {
    persist(pool, || async {
        let mut connection = pool.acquire().await?;
        let mut known = read(&mut connection, admission, requests).await?;
        let outcomes = decide(admission, &mut known, requests);
        if outcomes.iter().any(|outcome| !matches!(outcome, Enqueued::Limited { .. })) {
            write(&mut connection, admission, &known, requests, &outcomes).await?;
        }
        Ok(outcomes)
    })
    .await
}

/// What is known of the recipients of a batch: as it was read, and then as the batch leaves it.
#[derive(Default)]
struct Known {
    mailboxes: HashMap<String, Mailbox>,
    /// By address.
    suppressed: HashMap<String, Suppression>,
    /// When it was read.
    at: DateTime<Utc>,
}

/// Theoretical arrival times, one per window of a quota.
type Tats = Vec<DateTime<Utc>>;
/// Those of each client's network.
type Clients = HashMap<String, Tats>;

/// A row of `recipient_quotas`.
#[derive(Debug, Default)]
struct Mailbox {
    /// Of the row that was read, if there is one.
    version: Option<i64>,
    tats: Tats,
    clients: Clients,
    /// Address and callback URL of the newest job, where that is young enough to make the same request a double click.
    last: Option<(String, String)>,
}

/// Why an address is not mailed for a while.
#[derive(Debug)]
struct Suppression {
    reason: String,
    until: DateTime<Utc>,
}

async fn read(connection: &mut PgConnection, admission: &Admission, requests: &[NewJob]) -> Result<Known, sqlx::Error> {
    let mailboxes: BTreeSet<String> = requests.iter().map(|request| request.recipient.mailbox()).collect();
    let mailboxes: Vec<String> = mailboxes.into_iter().collect();
    let addresses: Vec<&str> = requests.iter().map(|request| request.recipient.as_str()).collect();
    let rows = sqlx::query!(
        r#"
        select
          key, version, tats as "tats: Tats", clients as "clients: Json<Clients>",
          last_recipient, last_callback_url, last_at, suppressed_for, suppressed_until, clock_timestamp() as "now!"
        -- A row at least, for the time.
        from (select) as always
        left join email_read_recipients($1, $2) on true
        "#,
        &mailboxes,
        &addresses as &[&str],
    )
    .fetch_all(connection)
    .await?;
    let mut known = Known { at: rows.iter().map(|row| row.now).max().unwrap_or_default(), ..Known::default() };
    for row in rows {
        let Some(key) = row.key else { continue };
        if let (Some(reason), Some(until)) = (row.suppressed_for, row.suppressed_until) {
            known.suppressed.insert(key, Suppression { reason, until });
            continue;
        }
        let is_young =
            row.last_at.is_some_and(|at| (known.at - at).to_std().unwrap_or_default() < admission.duplicate_window);
        let mailbox = Mailbox {
            version: row.version,
            tats: row.tats.unwrap_or_default(),
            clients: row.clients.map(|clients| clients.0).unwrap_or_default(),
            last: row.last_recipient.zip(row.last_callback_url).filter(|_| is_young),
        };
        known.mailboxes.insert(key, mailbox);
    }
    Ok(known)
}
