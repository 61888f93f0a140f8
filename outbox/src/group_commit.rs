//! Group commit: requests that arrive during a commit are committed together in the next commit.
//!
//! Each commit waits for the disk, so requests would queue up if they were committed one by one. There is no timer: a
//! single request on an idle system is committed immediately.
//!
//! Each committer has its own thread and connection. On a shared runtime, the committer would not see Postgres's answer
//! until the runtime had read all incoming requests, and Postgres would be idle in the meantime.
//!
//! Requests for links come in bursts, and one connection uses only one processor of the Postgres server. So a second
//! committer, the helper, takes a separate batch while enough requests wait.

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
    enqueue::{
        batch::enqueue_in,
        request::{EnqueuePolicy, Enqueued, NewJob},
    },
    postgres::{
        error::{Error, OutageReason, ReasonSource},
        notify::NotifyLimiter,
        session::Session,
    },
    reports::events::{Report, ReportOutcome, take_reports_in},
    running::{
        finish::{Finish, Recorded, finish_in},
        requeue::{Requeue, Requeued, requeue_in},
        seal::{Seal, SendDecision, seal_in},
    },
};

/// Maximum number of requests in one commit, so that a statement takes only milliseconds.
const MAX_BATCH: usize = 256;
/// Maximum number of requests that wait to be committed. If more requests waited, callers would time out before the
/// commit.
const MAX_WAITING: usize = 4_096;
/// If this many requests wait while a commit is under way, the helper takes them. Fewer requests are left for the next
/// commit, because a request costs less in a larger batch.
const HELPER_THRESHOLD: usize = 64;

/// Why a request was not committed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// Too many requests are waiting to be committed.
    #[error("too many requests are waiting to be committed")]
    Busy,
    /// The database failed. If its answer was lost, the request may have been committed.
    #[error(transparent)]
    Failed(#[from] Arc<Error>),
}

impl CommitError {
    /// Where to find the reason for this error. See [`outage_reason`](crate::outage_reason).
    #[must_use]
    pub fn reason_source(&self) -> ReasonSource {
        match self {
            Self::Busy => ReasonSource::Error,
            Self::Failed(error) => error.reason_source(),
        }
    }

    /// Why the database cannot be used, for an error that [is an outage](Self::is_outage).
    #[must_use]
    pub fn outage(&self) -> OutageReason {
        match self {
            Self::Busy => OutageReason::away(self.to_string()),
            Self::Failed(error) => error.outage(),
        }
    }

    /// Whether the request may succeed if it is repeated later.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Failed(error) => error.is_outage(),
        }
    }
}

/// Called after each commit, with the number of requests and the time until it succeeded or failed.
pub type OnCommit = fn(batch: usize, taken: Duration);

/// A committer: takes requests and returns the outcome of each. The committer and its helper, if it has one, each have
/// their own thread and their own connection, which is opened with the options of the given pool. Clones share the same
/// committer.
#[derive(Debug)]
pub struct GroupCommit<Request, Outcome> {
    requests: mpsc::Sender<Pending<Request, Outcome>>,
    /// The channel that calls the helper, if there is one.
    helper: Option<mpsc::Sender<CallForHelp>>,
}

impl<Request, Outcome> Clone for GroupCommit<Request, Outcome> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone(), helper: self.helper.clone() }
    }
}

#[derive(Debug)]
struct CallForHelp;

/// A request or a check that waits for a committer.
#[derive(Debug)]
enum Pending<Request, Outcome> {
    Request(PendingRequest<Request, Outcome>),
    /// A check that the database is reachable. See [`GroupCommit::check`].
    Check(oneshot::Sender<Result<(), CommitError>>),
}

#[derive(Debug)]
struct PendingRequest<Request, Outcome> {
    request: Request,
    answer: oneshot::Sender<Result<Outcome, CommitError>>,
}

/// The batched write behind a committer: returns one outcome per request, in order.
type BatchWrite<Request, Outcome> =
    Arc<dyn for<'a> Fn(&'a mut Session, &'a [Request]) -> BoxFuture<'a, Result<Vec<Outcome>, Error>> + Send + Sync>;

impl GroupCommit<NewJob, Enqueued> {
    /// Commits requests for links, with a helper, and wakes the workers. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// The thread or its runtime cannot be created.
    pub fn of_requests(pool: &PgPool, policy: EnqueuePolicy, on_commit: OnCommit) -> io::Result<Self> {
        let (policy, notifier) = (Arc::new(policy), NotifyLimiter::start(pool.clone()));
        let write: BatchWrite<NewJob, Enqueued> = Arc::new(move |session, requests| {
            let (policy, notifier) = (Arc::clone(&policy), notifier.clone());
            Box::pin(async move {
                let outcomes = enqueue_in(session, &policy, requests).await?;
                // Requests that were not queued wake no worker. Callers do not wait for the notification, so its
                // absence does not reveal that a recipient is suppressed.
                if outcomes.contains(&Enqueued::Queued) {
                    notifier.notify();
                }
                Ok(outcomes)
            })
        });
        Self::start_with_helper(pool, on_commit, write)
    }
}

impl GroupCommit<Report, ReportOutcome> {
    /// Starts a committer for Mailgun's reports. See [`take_reports()`](crate::take_reports()).
    ///
    /// # Errors
    /// The thread or its runtime cannot be created.
    pub fn of_reports(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, reports| Box::pin(take_reports_in(session, reports))))
    }
}

impl GroupCommit<Seal, SendDecision> {
    /// Starts a committer that stores links and decides whether their mails may be sent.
    ///
    /// # Errors
    /// The thread or its runtime cannot be created.
    pub fn of_seals(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, seals| Box::pin(seal_in(session, seals))))
    }
}

impl GroupCommit<Finish, Recorded> {
    /// Starts a committer that records how jobs ended. See [`finish()`](crate::finish()).
    ///
    /// # Errors
    /// The thread or its runtime cannot be created.
    pub fn of_finishes(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, ends| Box::pin(finish_in(session, ends))))
    }
}

impl GroupCommit<Requeue, Requeued> {
    /// Starts a committer for requeues. See [`requeue()`](crate::requeue()).
    ///
    /// # Errors
    /// The thread or its runtime cannot be created.
    pub fn of_requeues(pool: &PgPool, on_commit: OnCommit) -> io::Result<Self> {
        Self::start(pool, on_commit, Arc::new(|session, jobs| Box::pin(requeue_in(session, jobs))))
    }
}

impl<Request, Outcome> GroupCommit<Request, Outcome>
where
    Request: Send + Sync + 'static,
    Outcome: Send + 'static,
{
    /// Starts the committer, which runs until the last clone of the returned value is dropped.
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

    /// Commits a request with the next batch, and returns its outcome. If the caller stops waiting, the commit still
    /// takes place.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn commit(&self, request: Request) -> Result<Outcome, CommitError> {
        let (answer, outcome) = oneshot::channel();
        let request = Pending::Request(PendingRequest { request, answer });
        self.requests.try_send(request).map_err(|_| CommitError::Busy)?;
        if let Some(helper) = &self.helper
            && MAX_WAITING - self.requests.capacity() >= HELPER_THRESHOLD
        {
            // The channel has room for one call. If it is full, the helper has already been called.
            let _ = helper.try_send(CallForHelp);
        }
        // The answer is missing only if the committer panicked.
        outcome.await.unwrap_or(Err(CommitError::Busy))
    }

    /// Checks that a commit would succeed now: the committer has, or can get, a connection to a server that accepts
    /// writes.
    ///
    /// # Errors
    /// [`CommitError`].
    pub async fn check(&self) -> Result<(), CommitError> {
        let (answer, outcome) = oneshot::channel();
        self.requests.try_send(Pending::Check(answer)).map_err(|_| CommitError::Busy)?;
        outcome.await.unwrap_or(Err(CommitError::Busy))
    }
}

/// Writes batches, one after the other.
struct Committer<Request, Outcome> {
    /// The committer that is taking requests holds this lock, even while it waits for the next request.
    waiting: Arc<Mutex<mpsc::Receiver<Pending<Request, Outcome>>>>,
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
    /// Creates a committer and the channel through which it receives requests.
    fn of(write: BatchWrite<Request, Outcome>, on_commit: OnCommit) -> (mpsc::Sender<Pending<Request, Outcome>>, Self) {
        let (requests, waiting) = mpsc::channel(MAX_WAITING);
        (requests, Self { waiting: Arc::new(Mutex::new(waiting)), write, on_commit })
    }

    /// Runs the work on its own thread, with its own connection.
    fn spawn<Work: Future>(
        self,
        pool: &PgPool,
        work: impl FnOnce(Self, Session) -> Work + Send + 'static,
    ) -> io::Result<()> {
        let (options, server) = (pool.options().clone(), pool.connect_options().as_ref().clone());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new().name("committer".to_owned()).spawn(move || {
            runtime.block_on(async move {
                // Create the pool here: its connection works only in the runtime that opens it.
                let pool = options.max_connections(1).connect_lazy_with(server);
                work(self, Session::of(&pool)).await;
            });
        })?;
        Ok(())
    }

    async fn run(self, mut session: Session) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let mut last_size = 0;
        loop {
            let mut waiting = self.waiting.lock().await;
            // Callers that have just been answered may immediately send another request. Yield to let them do so:
            // without the yield, the next batch would contain only the first of their requests, and the others would
            // wait for that commit. On an idle system, the yield costs nothing.
            if waiting.len() < last_size / 2 {
                tokio::task::yield_now().await;
            }
            if waiting.is_empty() {
                session.pause();
            }
            last_size = waiting.recv_many(&mut batch, MAX_BATCH).await;
            drop(waiting);
            if last_size == 0 {
                return;
            }
            self.commit_and_answer(&mut session, &mut batch).await;
        }
    }

    /// On each call for help, commits batches for as long as many requests are waiting. Returns when the `calls` channel
    /// is closed.
    async fn help(self, mut session: Session, mut calls: mpsc::Receiver<CallForHelp>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while calls.recv().await.is_some() {
            loop {
                // If the receiver is locked, the other committer is taking the requests.
                if let Ok(mut waiting) = self.waiting.try_lock()
                    && waiting.len() >= HELPER_THRESHOLD
                {
                    waiting.recv_many(&mut batch, MAX_BATCH).await;
                }
                if batch.is_empty() {
                    break;
                }
                self.commit_and_answer(&mut session, &mut batch).await;
            }
            session.pause();
        }
    }

    async fn commit_and_answer(&self, session: &mut Session, batch: &mut Vec<Pending<Request, Outcome>>) {
        let (mut requests, mut callers, mut checks) = (Vec::with_capacity(batch.len()), Vec::new(), Vec::new());
        for pending in batch.drain(..) {
            match pending {
                Pending::Request(PendingRequest { request, answer }) => {
                    requests.push(request);
                    callers.push(answer);
                }
                Pending::Check(answer) => checks.push(answer),
            }
        }
        let mut outage = None;
        if !requests.is_empty() {
            let outcomes = self.commit_batch(session, &requests).await;
            outage =
                outcomes.iter().find_map(|outcome| outcome.as_ref().err().filter(|error| error.is_outage()).cloned());
            for (caller, outcome) in callers.into_iter().zip(outcomes) {
                // Sending fails only if the caller is no longer waiting.
                let _ = caller.send(outcome);
            }
        } else if let Err(error) = session.check().await {
            outage = Some(CommitError::Failed(Arc::new(error)));
        }
        for caller in checks {
            let _ = caller.send(outage.clone().map_or(Ok(()), Err));
        }
        if let Some(outage) = outage {
            // If the receiver is locked, the other committer will notice the outage itself.
            if let Ok(mut waiting) = self.waiting.try_lock() {
                refuse_all(&mut waiting, &outage);
            }
        }
    }

    /// Commits a batch. If Postgres refuses it, commits each request separately, so that only the bad request fails.
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

/// Refuses the requests that arrived while a batch was failing because of an outage. They have waited long enough: if
/// each batch were tried in turn, the timeouts would add up.
fn refuse_all<Request, Outcome>(waiting: &mut mpsc::Receiver<Pending<Request, Outcome>>, outage: &CommitError) {
    while let Ok(waiting) = waiting.try_recv() {
        match waiting {
            Pending::Request(waiting) => drop(waiting.answer.send(Err(outage.clone()))),
            Pending::Check(answer) => drop(answer.send(Err(outage.clone()))),
        }
    }
}
