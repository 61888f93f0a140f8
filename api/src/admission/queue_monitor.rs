//! Polls the outbox every second and keeps the result in memory: whether the tables match this version, whether
//! requests and webhooks can be committed, how many jobs wait, and how fast the workers deliver them. Requests and
//! health checks read this state, so they need no queries of their own to check the database. A failed commit of a
//! request or webhook updates the state immediately.
//!
//! `server::prepare_database` reports when the tables are ready. Polling starts after that.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use outbox::{CommitError, Error, Load, OutageReason, ProgramKind, QueueState, ReasonSource};
use tokio::time::{interval, timeout};

use super::{
    decide::{AdmissionDecision, QueueLimits},
    outage_log::OutageLog,
};
use crate::{metrics, state::AppState};

const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time limit for one poll. It is longer than the time limit for taking a connection from the pool.
const POLL_TIMEOUT: Duration = Duration::from_secs(5);
/// `Retry-After` before the tables are ready.
const NOT_PREPARED_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Whether the database can be used, and the state of the outbox at the last poll.
#[derive(Debug)]
pub(crate) struct QueueMonitor {
    limits: QueueLimits,
    has_own_sessions: AtomicBool,
    is_prepared: AtomicBool,
    is_reachable: AtomicBool,
    state: Mutex<QueueState>,
    /// Jobs accepted since the last successful poll.
    accepted: AtomicU32,
    outage: OutageLog,
}

/// Why the api cannot accept jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// The last poll failed, or the commit of a request or webhook has failed since then.
    DatabaseUnreachable,
    /// The tables have not been prepared since the program started.
    DatabaseNotPrepared,
}

impl QueueMonitor {
    /// Creates a monitor that considers the database neither prepared nor reachable.
    pub(crate) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            has_own_sessions: AtomicBool::new(false),
            is_prepared: AtomicBool::new(false),
            is_reachable: AtomicBool::new(false),
            state: Mutex::default(),
            accepted: AtomicU32::new(0),
            outage: OutageLog::default(),
        }
    }

    /// Decides whether the workers can deliver one more job within `JOB_DEADLINE`. Assumes that the job's portal is not
    /// paused.
    pub(crate) fn decide(&self) -> AdmissionDecision {
        self.decide_for(None, self.limits.deadline)
    }

    /// Decides whether the workers can deliver one more job of this portal within `deadline`.
    pub(crate) fn decide_for(&self, portal: Option<&str>, deadline: Duration) -> AdmissionDecision {
        if !self.is_prepared.load(Relaxed) {
            return AdmissionDecision::Reject { retry_after: NOT_PREPARED_RETRY_AFTER };
        }
        let load = self.state.lock().unwrap_or_else(PoisonError::into_inner).load_of(portal);
        QueueLimits { deadline, ..self.limits }.decide(&load, self.accepted.load(Relaxed))
    }

    /// Whether the last poll found retries that operators had filed.
    pub(crate) fn has_filed_retries(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).has_filed_retries
    }

    /// `JOB_DEADLINE`.
    pub(crate) fn job_deadline(&self) -> Duration {
        self.limits.deadline
    }

    /// Counts a job that was committed after the last poll.
    pub(crate) fn note_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// Records why the database cannot be used yet.
    pub(crate) fn note_unusable(&self, error: &Error) {
        if error.is_outage() {
            self.outage.note_outage(error.outage());
        } else {
            self.outage.note_wrong_setting(error.to_string());
        }
    }

    /// Records that each connection keeps its own server session, because there is no pooler in transaction or
    /// statement mode. Until this method has been called, only the pooler check may use the connection pool.
    pub(crate) fn note_own_sessions(&self) {
        self.has_own_sessions.store(true, Relaxed);
        self.outage.note_usable();
    }

    /// Whether [`note_own_sessions`](Self::note_own_sessions) has been called.
    pub(crate) fn has_own_sessions(&self) -> bool {
        self.has_own_sessions.load(Relaxed)
    }

    /// Records that the tables are ready and that Postgres answers.
    pub(crate) fn note_prepared(&self) {
        self.outage.note_usable();
        self.is_prepared.store(true, Relaxed);
        self.is_reachable.store(true, Relaxed);
    }

    /// Whether the tables are ready.
    pub(crate) fn is_prepared(&self) -> bool {
        self.is_prepared.load(Relaxed)
    }

    /// Records that a request or webhook could not be committed. If the commit failed, the api is not ready until a
    /// poll succeeds. The api becomes unready immediately, even while a poll is running, which can take seconds.
    pub(crate) fn note_refused(&self, error: &CommitError) {
        match error {
            CommitError::Busy => self.outage.note_busy(),
            CommitError::Failed(error) => {
                self.is_reachable.store(false, Relaxed);
                self.outage.note_refused(error.outage());
            }
        }
    }

    /// Why the database cannot be used, with Postgres's own message if there is one; `None` if it can be used.
    pub(crate) fn outage_reason(&self) -> Option<OutageReason> {
        self.outage.reason()
    }

    /// Why the api cannot accept jobs, or `None` if it can.
    pub(crate) fn not_ready(&self) -> Option<NotReady> {
        match (self.is_prepared.load(Relaxed), self.is_reachable.load(Relaxed)) {
            // The cause may be an unreachable Postgres or a failed migration; the log says which.
            (false, _) => Some(NotReady::DatabaseNotPrepared),
            (true, false) => Some(NotReady::DatabaseUnreachable),
            (true, true) => None,
        }
    }

    fn record_poll(&self, result: Result<QueueState, OutageReason>) {
        self.is_reachable.store(result.is_ok(), Relaxed);
        match result {
            Ok(state) => {
                let before = self.decide();
                let load = state.load;
                *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
                self.accepted.store(0, Relaxed);
                metrics::set_load(&load);
                log_change(before, self.decide(), &load);
                self.outage.note_checked();
            }
            Err(reason) => self.outage.note_outage(reason),
        }
    }
}

/// Logs when the api starts to reject requests, and when it accepts them again.
fn log_change(before: AdmissionDecision, now: AdmissionDecision, load: &Load) {
    let Load { waiting, jobs_per_second, is_stopped, .. } = *load;
    match (before.is_reject(), now.is_reject()) {
        (false, true) => {
            tracing::warn!(
                waiting,
                jobs_per_second,
                is_stopped,
                "answering requests with 503: the queue is full, or new jobs could expire before their mails are sent"
            );
        }
        (true, false) => tracing::info!(waiting, jobs_per_second, "accepting requests again"),
        _ => {}
    }
}

/// Polls the outbox every second once the tables are ready. Never returns.
pub(crate) async fn poll(state: Arc<AppState>) {
    let queue = &state.queue;
    let mut ticks = interval(POLL_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Counting to one job above the limit is enough to detect a full queue.
    let count_to = queue.limits.max_waiting.saturating_add(1);
    loop {
        ticks.tick().await;
        if queue.is_prepared.load(Relaxed) {
            let result = timeout(POLL_TIMEOUT, poll_once(&state, count_to)).await;
            queue.record_poll(
                result.unwrap_or_else(|_| Err(OutageReason::away("Postgres did not answer within 5 seconds"))),
            );
        }
    }
}

/// Reads the state of the queue. Also checks the tables and the pooler, and that requests and webhooks can be
/// committed. If any of this fails, returns the reason, with Postgres's own message if there is one.
async fn poll_once(state: &AppState, count_to: u32) -> Result<QueueState, OutageReason> {
    let queue = async {
        outbox::check_schema(&state.pool, ProgramKind::Api).await?;
        outbox::queue_state(&state.pool, count_to).await
    };
    let (queue, requests, reports) = tokio::join!(queue, state.requests.check(), state.reports.check());
    let (reason, source) = match (requests.and(reports), queue) {
        (Ok(()), Ok(queue)) => match state.pooler_monitor.check(&state.pool).await {
            Ok(()) => return Ok(queue),
            Err(error) => (error.outage(), ReasonSource::Error),
        },
        (Err(error), _) => (error.outage(), error.reason_source()),
        (Ok(()), Err(error)) => (error.outage(), error.reason_source()),
    };
    // Finding the reason may take seconds. The api is not ready during this time.
    state.queue.is_reachable.store(false, Relaxed);
    Err(outbox::outage_reason(&state.pool, &state.pooler_monitor, reason, source).await)
}

#[cfg(test)]
mod tests {
    use outbox::PausedPortal;

    use super::*;

    fn monitor() -> QueueMonitor {
        QueueMonitor::new(QueueLimits { max_waiting: 2, deadline: Duration::from_secs(900) })
    }

    fn load(waiting: u32) -> QueueState {
        QueueState { load: Load { waiting, ..Load::default() }, ..QueueState::default() }
    }

    #[test]
    fn jobs_are_accepted_while_the_tables_are_ready_and_the_queue_is_within_its_limit() {
        let monitor = monitor();
        let accepts = |monitor: &QueueMonitor| !monitor.decide().is_reject();
        assert!(!accepts(&monitor));
        monitor.is_prepared.store(true, Relaxed);
        for (jobs, is_accepted) in [(0, true), (2, true), (3, false), (1, true)] {
            monitor.record_poll(Ok(load(jobs)));
            assert_eq!(accepts(&monitor), is_accepted, "{jobs}");
        }
        monitor.note_accepted();
        assert!(accepts(&monitor));
        monitor.note_accepted();
        assert!(!accepts(&monitor), "jobs accepted since the last poll are counted");
        monitor.record_poll(Ok(load(1)));
        assert!(accepts(&monitor));
    }

    #[test]
    fn a_paused_portal_accepts_requests_until_its_oldest_job_has_used_half_its_deadline() {
        let monitor = monitor();
        monitor.is_prepared.store(true, Relaxed);
        for (seconds, is_accepted) in [(451, true), (449, false)] {
            let time_left = Some(Duration::from_secs(seconds));
            let paused = Load { waiting: 1, is_stopped: true, time_left, ..Load::default() };
            monitor.record_poll(Ok(QueueState {
                paused_portals: vec![PausedPortal { portal: "shop".to_owned(), load: paused }],
                ..load(0)
            }));
            let deadline = monitor.job_deadline();
            assert_eq!(!monitor.decide_for(Some("shop"), deadline).is_reject(), is_accepted, "{seconds}");
            for other in [Some("club"), None] {
                assert!(!monitor.decide_for(other, deadline).is_reject(), "{other:?}");
            }
        }
    }

    #[test]
    fn not_ready_returns_the_reason() {
        let monitor = monitor();
        assert_eq!(monitor.not_ready(), Some(NotReady::DatabaseNotPrepared));
        monitor.is_prepared.store(true, Relaxed);
        monitor.record_poll(Ok(load(0)));
        assert_eq!(monitor.not_ready(), None);
        monitor.record_poll(Err(OutageReason::away("gone")));
        assert_eq!(monitor.not_ready(), Some(NotReady::DatabaseUnreachable));
    }
}
