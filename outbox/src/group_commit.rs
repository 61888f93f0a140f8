//! Group commit: what comes while a commit is under way goes together in the next one.
//!
//! A commit waits for the disk, and one by one requests would queue for it. There is no timer: a lone request on an idle
//! system is committed at once.
//!
//! Each committer has a thread and a connection of its own. On a shared runtime Postgres's answer would wait its turn behind
//! all the requests that are being read, and Postgres would wait for the next batch meanwhile.
//!
//! Requests for links come in crowds, and one connection keeps one of Postgres's processors busy: a second committer helps
//! while enough of them wait to make a batch of their own.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use futures_util::future::BoxFuture;
use sqlx::PgPool;
use tokio::{
    runtime,
    sync::{Mutex, mpsc, oneshot},
};

use crate::{
    EnqueuePolicy, Enqueued, Error, Finish, NewJob, Recorded, Report, ReportOutcome, Requeue, Requeued, Seal,
    SendDecision,
    enqueue::batch::enqueue_in,
    postgres::{notify::NotifyLimiter, session::Session},
    reports::events::take_reports_in,
    running::{finish::finish_in, requeue::requeue_in, seal::seal_in},
};

/// Most requests in one commit: a statement stays small enough to be done within milliseconds.
const LARGEST_BATCH: usize = 256;
/// Most requests that wait for their commit. More would wait longer than their callers do.
const MOST_WAITING: usize = 4_096;
/// Where so many wait although a commit is under way, a helper takes them. Fewer go together in the next commit: each costs
/// less, the more share it.
const CROWD: usize = 64;

/// Why a request was not taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Too many wait for their commit already.
    #[error("too many requests wait for their commit")]
    Busy,
    /// Postgres, or the way to it. The request may yet have been committed, if the answer was lost on the way.
    #[error(transparent)]
    Failed(#[from] Arc<Error>),
}

impl CommitError {
    /// Whether trying again later helps.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Failed(error) => error.is_outage(),
        }
    }
}

/// Is told of each commit: its size, and the time that it took or failed after.
pub type OnCommit = fn(batch: usize, taken: Duration);

/// A committer of one program: for each request, its outcome. It has a thread, and a connection beside those of the pool
/// whose options it takes over; a helper has the same again. A clone is the same one.
#[derive(Debug)]
pub struct GroupCommit<Request, Outcome> {
    requests: mpsc::Sender<PendingRequest<Request, Outcome>>,
    /// Where there is one.
    helper: Option<mpsc::Sender<CallForHelp>>,
}

impl<Request, Outcome> Clone for GroupCommit<Request, Outcome> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone(), helper: self.helper.clone() }
    }
}

#[derive(Debug)]
struct CallForHelp;

#[derive(Debug)]
struct PendingRequest<Request, Outcome> {
    request: Request,
    answer: oneshot::Sender<Result<Outcome, CommitError>>,
}

/// The batched write behind a committer: an outcome per request, in order.
type BatchWrite<Request, Outcome> =
    Arc<dyn for<'a> Fn(&'a mut Session, &'a [Request]) -> BoxFuture<'a, Result<Vec<Outcome>, Error>> + Send + Sync>;

impl GroupCommit<NewJob, Enqueued> {
    /// Commits requests for links, see [`enqueue()`](crate::enqueue()), with a helper. Within a runtime, on which workers are
    /// woken.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn of_requests(pool: &PgPool, admission: EnqueuePolicy, on_commit: OnCommit) -> io::Result<Self> {
        let (admission, bell) = (Arc::new(admission), NotifyLimiter::hang(pool.clone()));
        let write: BatchWrite<NewJob, Enqueued> = Arc::new(move |session, requests| {
            let (admission, bell) = (Arc::clone(&admission), bell.clone());
            Box::pin(async move {
                let outcomes = enqueue_in(session, &admission, requests).await?;
                // Not for a flood of refusals. Nobody waits for it, so it tells nothing of who is suppressed.
                if outcomes.contains(&Enqueued::Queued) {
                    bell.ring();
                }
                Ok(outcomes)
            })
        });
        Self::start_with_helper(pool, on_commit, write)
    }
}

impl GroupCommit<Report, ReportOutcome> {
    /// Commits what Mailgun reports, see [`take_reports()`](crate::take_reports()).
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn of_reports(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, reports| Box::pin(take_reports_in(session, reports))))
    }
}

impl GroupCommit<Seal, SendDecision> {
    /// Commits links and clears mails, see [`seal()`](crate::seal()).
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn of_seals(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, seals| Box::pin(seal_in(session, seals))))
    }
}

impl GroupCommit<Finish, Recorded> {
    /// Commits the ends of jobs, see [`finish()`](crate::finish()).
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn of_ends(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, ends| Box::pin(finish_in(session, ends))))
    }
}

impl GroupCommit<Requeue, Requeued> {
    /// Commits jobs that are to wait again, see [`requeue()`](crate::put_back()).
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn of_returns(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, jobs| Box::pin(requeue_in(session, jobs))))
    }
}

impl<Request, Outcome> GroupCommit<Request, Outcome>
where
    Request: Send + Sync + 'static,
    Outcome: Send + 'static,
{
    /// Starts the committer; it ends with its last clone.
    fn start(pool: &PgPool, on_commit: OnCommit, write: BatchWrite<Request, Outcome>) -> io::Result<Self> {
        let (requests, committer) = Committer::of(write, on_commit);
        committer.spawn(pool, Committer::run)?;
        Ok(Self { requests, helper: None })
    }

    fn start_with_helper(pool: &PgPool, on_commit: OnCommit, write: BatchWrite<Request, Outcome>) -> io::Result<Self> {
        let (requests, committer) = Committer::of(write, on_commit);
        let (helper, calls) = mpsc::channel(1);
        committer.clone().spawn(pool, |committer, session| committer.help(session, calls))?;
        committer.spawn(pool, Committer::run)?;
        Ok(Self { requests, helper: Some(helper) })
    }

    /// Takes a request in with the next commit, and tells what became of it. A caller who stops waiting does not
    /// stop the commit.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn commit(&self, request: Request) -> Result<Outcome, CommitError> {
        let (answer, outcome) = oneshot::channel();
        self.requests.try_send(PendingRequest { request, answer }).map_err(|_| CommitError::Busy)?;
        if let Some(helper) = &self.helper
            && MOST_WAITING - self.requests.capacity() >= CROWD
        {
            // One call is enough, however many make it.
            let _ = helper.try_send(CallForHelp);
        }
        // Unanswered only if the committer panicked.
        outcome.await.unwrap_or(Err(CommitError::Busy))
    }
}

/// What writes the batches, one after the other.
struct Committer<Request, Outcome> {
    /// Held by whoever takes from it, and while there is nothing to take, by one that waits for more.
    waiting: Arc<Mutex<mpsc::Receiver<PendingRequest<Request, Outcome>>>>,
    write: BatchWrite<Request, Outcome>,
    on_commit: OnCommit,
}

impl<Request, Outcome> Clone for Committer<Request, Outcome> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting), write: Arc::clone(&self.write), on_commit: self.on_commit }
    }
}

impl<Request, Outcome> Committer<Request, Outcome>
where
    Request: Send + Sync + 'static,
    Outcome: Send + 'static,
{
    /// One that writes what is sent.
    fn of(
        write: BatchWrite<Request, Outcome>,
        on_commit: OnCommit,
    ) -> (mpsc::Sender<PendingRequest<Request, Outcome>>, Self) {
        let (requests, waiting) = mpsc::channel(MOST_WAITING);
        (requests, Self { waiting: Arc::new(Mutex::new(waiting)), write, on_commit })
    }

    /// Gives the work a thread and a connection of its own.
    fn spawn<Work: Future>(
        self,
        pool: &PgPool,
        work: impl FnOnce(Self, Session) -> Work + Send + 'static,
    ) -> io::Result<()> {
        let (options, server) = (pool.options().clone(), pool.connect_options().as_ref().clone());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("committer".to_owned()).spawn(move || {
            runtime.block_on(async move {
                // Connections belong to the runtime on which they were made.
                let pool = options.max_connections(1).connect_lazy_with(server);
                work(self, Session::of(&pool)).await;
            });
        })?;
        Ok(())
    }

    async fn run(self, mut session: Session) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        let mut last_size = 0;
        loop {
            let mut waiting = self.waiting.lock().await;
            // Those who were just answered may ask again at once: without a turn for them the next batch would be the one
            // who was first, and the others would wait for a commit of one. On an idle system nothing comes in between.
            if waiting.len() < last_size / 2 {
                tokio::task::yield_now().await;
            }
            if waiting.is_empty() {
                session.pause();
            }
            last_size = waiting.recv_many(&mut batch, LARGEST_BATCH).await;
            drop(waiting);
            if last_size == 0 {
                return;
            }
            self.commit_and_answer(&mut session, &mut batch).await;
        }
    }

    /// Takes a batch whenever many wait, until there are no more calls.
    async fn help(self, mut session: Session, mut calls: mpsc::Receiver<CallForHelp>) {
        let mut batch = Vec::with_capacity(LARGEST_BATCH);
        while calls.recv().await.is_some() {
            loop {
                // If it is held, they are being taken.
                if let Ok(mut waiting) = self.waiting.try_lock()
                    && waiting.len() >= CROWD
                {
                    waiting.recv_many(&mut batch, LARGEST_BATCH).await;
                }
                if batch.is_empty() {
                    break;
                }
                self.commit_and_answer(&mut session, &mut batch).await;
            }
            session.pause();
        }
    }

    async fn commit_and_answer(&self, session: &mut Session, batch: &mut Vec<PendingRequest<Request, Outcome>>) {
        let (requests, callers): (Vec<_>, Vec<_>) = batch.drain(..).map(|w| (w.request, w.answer)).unzip();
        let outcomes = self.commit_batch(session, &requests).await;
        let outage =
            outcomes.iter().find_map(|outcome| outcome.as_ref().err().filter(|error| error.is_outage()).cloned());
        for (caller, outcome) in callers.into_iter().zip(outcomes) {
            // One that no longer waits has hung up.
            let _ = caller.send(outcome);
        }
        if let Some(outage) = outage {
            // If it is held, the one who holds it will meet the outage itself.
            if let Ok(mut waiting) = self.waiting.try_lock() {
                refuse_all(&mut waiting, &outage);
            }
        }
    }

    /// One commit for all; where Postgres refuses the batch, one for each, so that a bad row fails alone.
    async fn commit_batch(&self, session: &mut Session, requests: &[Request]) -> Vec<Result<Outcome, CommitError>> {
        match self.commit(session, requests).await {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            Err(error) if requests.len() == 1 || error.is_outage() => {
                let error = Arc::new(error);
                requests.iter().map(|_| Err(CommitError::Failed(Arc::clone(&error)))).collect()
            }
            Err(_) => {
                let mut outcomes = Vec::with_capacity(requests.len());
                for request in requests {
                    let outcome = self.commit(session, std::slice::from_ref(request)).await;
                    let outcome = outcome.map_err(|error| CommitError::Failed(Arc::new(error)));
                    outcomes.push(outcome.and_then(|outcomes| outcomes.into_iter().next().ok_or(CommitError::Busy)));
                }
                outcomes
            }
        }
    }

    async fn commit(&self, session: &mut Session, requests: &[Request]) -> Result<Vec<Outcome>, Error> {
        let started = Instant::now();
        let committed = (self.write)(session, requests).await;
        (self.on_commit)(requests.len(), started.elapsed());
        committed
    }
}

/// Whoever came during a batch that met an outage has waited long enough: a time-out each would add up.
fn refuse_all<Request, Outcome>(waiting: &mut mpsc::Receiver<PendingRequest<Request, Outcome>>, outage: &CommitError) {
    while let Ok(waiting) = waiting.try_recv() {
        let _ = waiting.answer.send(Err(outage.clone()));
    }
}
