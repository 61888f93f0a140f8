//! What the door knows about the outbox without asking: whether the tables are there, whether Postgres answers, how many
//! jobs wait and how fast they go. Kept up to date in the background, so that neither a request nor a health check costs a
//! look.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use outbox::{Error, Load, PgPool};
use tokio::time::{interval, sleep, timeout};

use super::decide::{AdmissionDecision, QueueLimits};
use crate::metrics;

/// How often the outbox is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Longer than the wait for a connection of the pool.
const LOOK_TIME: Duration = Duration::from_secs(5);
/// Between two tries to prepare the tables.
const RETRY_EVERY: Duration = Duration::from_secs(1);
/// Partitions stand ready a week ahead: daily is plenty, and a failed day no harm.
const PARTITIONS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// The last look at the outbox.
#[derive(Debug)]
pub(crate) struct QueueMonitor {
    admission: QueueLimits,
    prepared: AtomicBool,
    reachable: AtomicBool,
    load: Mutex<Load>,
    /// Requests let in since then.
    accepted: AtomicU32,
}

/// To a request that comes before the tables are there.
const UNPREPARED_WAIT: Duration = Duration::from_secs(5);

/// What keeps the door from accepting jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotReady {
    /// Postgres does not answer.
    Unreachable,
    /// The tables are not known to be there: at the start, until a migration or a look has succeeded.
    Unprepared,
}

impl QueueMonitor {
    /// Nothing was seen yet.
    pub(crate) fn new(admission: QueueLimits) -> Self {
        Self {
            admission,
            prepared: AtomicBool::new(false),
            reachable: AtomicBool::new(false),
            load: Mutex::default(),
            accepted: AtomicU32::new(0),
        }
    }

    /// Whether one more job can be mailed in time.
    pub(crate) fn room(&self) -> AdmissionDecision {
        if !self.prepared.load(Relaxed) {
            return AdmissionDecision::None(UNPREPARED_WAIT);
        }
        let load = *self.load.lock().unwrap_or_else(PoisonError::into_inner);
        self.admission.room(&load, self.accepted.load(Relaxed))
    }

    /// One more job waits.
    pub(crate) fn note_accepted(&self) {
        self.accepted.fetch_add(1, Relaxed);
    }

    /// What is in the way, by the last look.
    pub(crate) fn not_ready(&self) -> Option<NotReady> {
        match (self.prepared.load(Relaxed), self.reachable.load(Relaxed)) {
            // Postgres may be away, or a migration may have failed: the log says which.
            (false, _) => Some(NotReady::Unprepared),
            (true, false) => Some(NotReady::Unreachable),
            (true, true) => None,
        }
    }

    fn saw(&self, look: Result<Load, String>) {
        let reachable = look.is_ok();
        match look {
            Ok(load) => {
                let before = self.room();
                *self.load.lock().unwrap_or_else(PoisonError::into_inner) = load;
                self.accepted.store(0, Relaxed);
                metrics::set_load(&load);
                tell(before, self.room(), &load);
                if !self.reachable.swap(reachable, Relaxed) {
                    tracing::info!("the database answers");
                }
            }
            Err(error) => {
                if self.reachable.swap(reachable, Relaxed) {
                    tracing::warn!(error, "the database does not answer");
                }
            }
        }
    }
}

/// A line when requests begin to be refused, and one when they no longer are.
fn tell(before: AdmissionDecision, now: AdmissionDecision, load: &Load) {
    let Load { waiting, jobs_per_second, is_stopped, .. } = *load;
    match (matches!(before, AdmissionDecision::None(_)), matches!(now, AdmissionDecision::None(_))) {
        (false, true) => {
            tracing::warn!(
                waiting,
                jobs_per_second,
                is_stopped,
                "requests are refused: they could not be mailed in time"
            );
        }
        (true, false) => tracing::info!(waiting, jobs_per_second, "requests are taken"),
        _ => {}
    }
}

/// Makes the tables and the days ahead, as soon as Postgres lets it; then the days again, every day, for ever.
pub(crate) async fn prepare(pool: PgPool, queue: Arc<QueueMonitor>, migrate: bool) {
    let mut last_problem = String::new();
    while let Err(error) = try_to_prepare(&pool, migrate).await {
        // Once per problem, not once per try.
        let problem = error.to_string();
        if problem != last_problem {
            tracing::warn!(error = problem, "the tables are not ready yet");
            last_problem = problem;
        }
        sleep(RETRY_EVERY).await;
    }
    queue.prepared.store(true, Relaxed);
    queue.reachable.store(true, Relaxed);
    tracing::info!("the tables are ready");
    loop {
        sleep(PARTITIONS_EVERY).await;
        if let Err(error) = outbox::partitions::make(&pool).await {
            tracing::warn!(%error, "making the days ahead failed: the next try is tomorrow");
        }
    }
}

async fn try_to_prepare(pool: &PgPool, migrate: bool) -> Result<(), Error> {
    if migrate {
        outbox::migrate(pool).await?;
    }
    outbox::partitions::make(pool).await?;
    outbox::ping(pool).await
}

/// Looks at the outbox every second, for ever, once it is prepared.
pub(crate) async fn watch(pool: PgPool, queue: Arc<QueueMonitor>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // One more than the limit is enough to know that there are too many.
    let count_to = queue.admission.limit.saturating_add(1);
    loop {
        ticks.tick().await;
        if queue.prepared.load(Relaxed) {
            let look = timeout(LOOK_TIME, outbox::load(&pool, count_to)).await;
            queue.saw(match look {
                Ok(load) => load.map_err(|error| error.to_string()),
                Err(_) => Err("no answer in 5 s".to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch() -> QueueMonitor {
        QueueMonitor::new(QueueLimits { limit: 2, deadline: Duration::from_secs(900) })
    }

    fn waiting(waiting: u32) -> Load {
        Load { waiting, ..Load::default() }
    }

    #[test]
    fn there_is_room_while_the_tables_are_there_and_the_queue_is_within_its_limit() {
        let watch = watch();
        let has_room = |watch: &QueueMonitor| !matches!(watch.room(), AdmissionDecision::None(_));
        assert!(!has_room(&watch));
        watch.prepared.store(true, Relaxed);
        for (jobs, room) in [(0, true), (2, true), (3, false), (1, true)] {
            watch.saw(Ok(waiting(jobs)));
            assert_eq!(has_room(&watch), room, "{jobs}");
        }
        watch.note_accepted();
        assert!(has_room(&watch));
        watch.note_accepted();
        assert!(!has_room(&watch), "those let in since the look count");
        watch.saw(Ok(waiting(1)));
        assert!(has_room(&watch));
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let watch = watch();
        assert_eq!(watch.not_ready(), Some(NotReady::Unprepared));
        watch.prepared.store(true, Relaxed);
        watch.saw(Ok(waiting(0)));
        assert_eq!(watch.not_ready(), None);
        watch.saw(Err("gone".to_owned()));
        assert_eq!(watch.not_ready(), Some(NotReady::Unreachable));
    }
}
