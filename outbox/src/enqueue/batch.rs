//! Accepts a batch of requests: checks quotas, supersedes older jobs and adds new jobs.
//!
//! If the batch's recipients are all different, and none has a quota row or a suppression, a single statement adds all
//! jobs. Otherwise, one statement reads the recipients' state, `decide` determines the outcome of each request, and a
//! second statement writes the outcomes.
//!
//! The recipient's quota row serialises the requests for one recipient across all api instances: if the row has changed
//! since it was read, Postgres rejects the write, and the batch is decided again. No lock is held between the read and
//! the write.

use sqlx::PgConnection;

use super::{
    decide::decide,
    newcomers,
    recipient_state::RecipientState,
    request::{EnqueuePolicy, Enqueued, NewJob},
    write::write,
};
use crate::{
    model::{ended_job::EndedJob, mailbox::Mailbox},
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// Accepts a batch of requests in order and returns the outcome of each. The batch is committed when this function
/// returns. Logs a line for each job that the batch ends. Does not notify the workers.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. Nothing was accepted, unless the batch was committed and only Postgres's
/// answer was lost.
pub(crate) async fn enqueue_in(
    session: &mut Session,
    policy: &EnqueuePolicy,
    requests: &[NewJob],
) -> Result<Vec<Enqueued>, Error> {
    // The shortcut is tried only once. After a collision, at least one recipient is no longer a newcomer.
    let mut newcomers = newcomers::distinct_mailboxes(requests);
    persist!(session, |connection| enqueue_once(connection, policy, requests, newcomers.take()))
}

async fn enqueue_once(
    connection: &mut PgConnection,
    policy: &EnqueuePolicy,
    requests: &[NewJob],
    newcomers: Option<Vec<Mailbox>>,
) -> Result<Vec<Enqueued>, sqlx::Error> {
    let mut state = match newcomers {
        Some(mailboxes) => match newcomers::add(connection, policy, requests, &mailboxes).await? {
            Some(state) => state,
            None => return Ok(vec![Enqueued::Queued; requests.len()]),
        },
        None => RecipientState::read(connection, policy, requests).await?,
    };
    let outcomes = decide(policy, &mut state, requests);
    if outcomes.iter().any(|outcome| !matches!(outcome, Enqueued::Limited { .. })) {
        let ended = write(connection, policy, &state, requests, &outcomes).await?;
        ended.iter().for_each(EndedJob::log);
    }
    Ok(outcomes)
}
