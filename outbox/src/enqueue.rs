//! The door's one write: quotas, latest-wins and the job, in one transaction for a batch of requests.
//!
//! Requests of one recipient, from whatever replica of the api, take their turn at the recipient's quota row;
//! what is read after that lock is the truth until the commit.

mod decide;
mod write;

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use crate::{Email, Error, JobId, Quotas, error::persist};
use decide::decide;
use write::{supersede_waiting, write};

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

/// Takes a batch of requests in, in their order, and answers for each. Committed when it returns.
///
/// # Errors
/// [`Error::Database`]: nothing was accepted.
pub async fn enqueue(pool: &PgPool, admission: &Admission, requests: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
    persist(pool, || async {
        let mut transaction = pool.begin().await?;
        let mut quotas = lock_quotas(&mut transaction, requests).await?;
        let mut lately = lately(&mut transaction, admission, requests).await?;
        let outcomes = decide(admission, &mut quotas, &mut lately, requests);
        if outcomes.iter().all(|outcome| matches!(outcome, Enqueued::Limited { .. })) {
            transaction.rollback().await?;
            return Ok(outcomes);
        }
        let places = supersede_waiting(&mut transaction, requests, &outcomes).await?;
        let batch = Batch { requests, outcomes: &outcomes, quotas: &quotas, lately: &lately };
        write(&mut transaction, admission, &places, batch).await?;
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

/// What is known of each recipient, where there is anything.
async fn lately(
    connection: &mut PgConnection,
    admission: &Admission,
    requests: &[NewJob],
) -> Result<HashMap<String, Lately>, sqlx::Error> {
    let recipients: Vec<String> = requests.iter().map(|r| r.recipient.to_string()).collect();
    let rows = sqlx::query!(
        r#"
        select recipient as "recipient!", callback_url, suppressed_for, suppressed_until
        from email_recipients_lately($1, make_interval(secs => $2))
        "#,
        &recipients,
        admission.duplicate_window.as_secs_f64(),
    )
    .fetch_all(connection)
    .await?;
    let lately = |suppressed_for: Option<String>, until| Some(Suppression { reason: suppressed_for?, until: until? });
    Ok(rows
        .into_iter()
        .map(|row| {
            let suppression = lately(row.suppressed_for, row.suppressed_until);
            (row.recipient, Lately { callback_url: row.callback_url, suppression })
        })
        .collect())
}

/// What must be known of a recipient before a request is taken.
#[derive(Debug, Default)]
struct Lately {
    /// Of its newest job, where that is young enough to make the same request a double click.
    callback_url: Option<String>,
    /// Why it is not mailed for a while.
    suppression: Option<Suppression>,
}

#[derive(Debug)]
struct Suppression {
    reason: String,
    until: DateTime<Utc>,
}

/// Requests, what becomes of them, and why.
#[derive(Clone, Copy)]
struct Batch<'a> {
    requests: &'a [NewJob],
    outcomes: &'a [Enqueued],
    quotas: &'a LockedQuotas,
    lately: &'a HashMap<String, Lately>,
}
