//! Group commit: requests that come while a commit is under way go together in the next one.
//!
//! A commit waits for the disk, and one that notifies holds a lock of the whole server while it does: one by one,
//! requests would queue for both. There is no timer: a lone request on an idle system is committed at once.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::{Admission, Enqueued, Error, NewJob, enqueue};

/// Most requests in one commit: a statement stays small enough to be done within milliseconds.
const LARGEST_BATCH: usize = 256;
/// Most requests that wait for their commit. More would wait longer than their callers do.
const MOST_WAITING: usize = 4_096;

/// Why a request was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum NotEnqueued {
    /// Too many wait for their commit already.
    #[error("too many requests wait for their commit")]
    Busy,
    /// Postgres, or the way to it. The request may yet have been committed, if the answer was lost on the way.
    #[error(transparent)]
    Failed(#[from] Arc<Error>),
}

impl NotEnqueued {
    /// Whether trying again later helps.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Failed(error) => error.is_outage(),
        }
    }
}

/// The committer of one program. A clone is the same one.
#[derive(Debug, Clone)]
pub struct GroupCommit(mpsc::Sender<Waiting>);

#[derive(Debug)]
struct Waiting {
    request: NewJob,
    answer: oneshot::Sender<Result<Enqueued, NotEnqueued>>,
}

impl GroupCommit {
    /// Starts the committer on the current runtime; it ends with its last clone.
    #[must_use]
    pub fn start(pool: PgPool, admission: Admission) -> Self {
        let (sender, waiting) = mpsc::channel(MOST_WAITING);
        tokio::spawn(commit(pool, admission, waiting));
        Self(sender)
    }

    /// Takes a request in with the next commit, and tells what became of it. A caller who stops waiting does not
    /// stop the commit.
    ///
    /// # Errors
    /// [`NotEnqueued`].
    pub async fn enqueue(&self, request: NewJob) -> Result<Enqueued, NotEnqueued> {
        let (answer, outcome) = oneshot::channel();
        self.0.try_send(Waiting { request, answer }).map_err(|_| NotEnqueued::Busy)?;
        // Unanswered only if the committer panicked.
        outcome.await.unwrap_or(Err(NotEnqueued::Busy))
    }
}

async fn commit(pool: PgPool, admission: Admission, mut waiting: mpsc::Receiver<Waiting>) {
    let mut batch = Vec::with_capacity(LARGEST_BATCH);
    while waiting.recv_many(&mut batch, LARGEST_BATCH).await > 0 {
        let (requests, callers): (Vec<_>, Vec<_>) = batch.drain(..).map(|w| (w.request, w.answer)).unzip();
        let outcomes = commit_batch(&pool, &admission, &requests).await;
        let outage =
            outcomes.iter().find_map(|outcome| outcome.as_ref().err().filter(|error| error.is_outage()).cloned());
        for (caller, outcome) in callers.into_iter().zip(outcomes) {
            // One that no longer waits has hung up.
            let _ = caller.send(outcome);
        }
        if let Some(outage) = outage {
            refuse_all(&mut waiting, &outage);
        }
    }
}

/// Whoever came during a batch that met an outage has waited long enough: a time-out each would add up.
fn refuse_all(waiting: &mut mpsc::Receiver<Waiting>, outage: &NotEnqueued) {
    while let Ok(waiting) = waiting.try_recv() {
        let _ = waiting.answer.send(Err(outage.clone()));
    }
}

/// One commit for all; where Postgres refuses the batch, one for each, so that a bad row fails alone.
async fn commit_batch(pool: &PgPool, admission: &Admission, requests: &[NewJob]) -> Vec<Result<Enqueued, NotEnqueued>> {
    match enqueue(pool, admission, requests).await {
        Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
        Err(error) if requests.len() == 1 || error.is_outage() => {
            let error = Arc::new(error);
            requests.iter().map(|_| Err(NotEnqueued::Failed(Arc::clone(&error)))).collect()
        }
        Err(_) => {
            let mut outcomes = Vec::with_capacity(requests.len());
            for request in requests {
                let outcome = enqueue(pool, admission, std::slice::from_ref(request)).await;
                let outcome = outcome.map_err(|error| NotEnqueued::Failed(Arc::new(error)));
                outcomes.push(outcome.and_then(|outcomes| outcomes.first().copied().ok_or(NotEnqueued::Busy)));
            }
            outcomes
        }
    }
}
