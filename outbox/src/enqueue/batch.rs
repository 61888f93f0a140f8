//! The door's one write: quotas, latest-wins and the job, in one statement for a batch of requests.
//!
//! A batch of newcomers is in with that one statement. Where something is known of anybody, that is read, who is let in
//! is decided here, and then written.
//!
//! Requests of one recipient, from whatever replica of the api, take their turn at the recipient's quota row: what was
//! decided by a row that has changed meanwhile is refused by Postgres, and decided again. No lock is held while we think.

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use super::{decide::decide, newcomers, recipient_state::RecipientState, write::write};
use crate::{
    Email, Error, JobId, Quotas,
    postgres::{
        notify::notify,
        session::{Session, persist},
    },
};

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
pub struct EnqueuePolicy {
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
pub async fn enqueue(pool: &PgPool, admission: &EnqueuePolicy, requests: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
    let outcomes = enqueue_in(&mut Session::of(pool), admission, requests).await?;
    // What was committed is found by the workers' poll, too.
    let _ = notify(pool).await;
    Ok(outcomes)
}

/// The same, and wakes nobody.
pub(crate) async fn enqueue_in(
    session: &mut Session,
    admission: &EnqueuePolicy,
    requests: &[NewJob],
) -> Result<Vec<Enqueued>, Error> {
    // Tried once: whoever collided is known.
    let mut newcomers = newcomers::distinct_mailboxes(requests);
    persist!(session, |connection| enqueue_once(connection, admission, requests, newcomers.take()))
}

async fn enqueue_once(
    connection: &mut PgConnection,
    admission: &EnqueuePolicy,
    requests: &[NewJob],
    newcomers: Option<Vec<String>>,
) -> Result<Vec<Enqueued>, sqlx::Error> {
    let mut known = match newcomers {
        Some(mailboxes) => match newcomers::add(connection, admission, requests, &mailboxes).await? {
            Some(known) => known,
            None => return Ok(vec![Enqueued::Queued; requests.len()]),
        },
        None => RecipientState::read(connection, admission, requests).await?,
    };
    let outcomes = decide(admission, &mut known, requests);
    if outcomes.iter().any(|outcome| !matches!(outcome, Enqueued::Limited { .. })) {
        write(connection, admission, &known, requests, &outcomes).await?;
    }
    Ok(outcomes)
}
