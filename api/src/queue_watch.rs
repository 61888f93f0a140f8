//! What the door knows about the outbox without asking: whether the tables are there, whether Postgres answers,
//! and how many jobs wait. Kept up to date in the background, so that neither a request nor a health check costs a look.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use outbox::{Error, PgPool};
use tokio::time::{interval, sleep, timeout};

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
pub(crate) struct QueueWatch {
    limit: u32,
    prepared: AtomicBool,
    reachable: AtomicBool,
    waiting: AtomicU32,
}

/// What keeps the door from accepting jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// Postgres does not answer.
    Unreachable,
    /// The tables are not known to be there: at the start, until a migration or a look has succeeded.
    Unprepared,
}

impl QueueWatch {
    /// Nothing was seen yet. `limit` is the number of waiting jobs beyond which no more are accepted.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, prepared: AtomicBool::new(false), reachable: AtomicBool::new(false), waiting: AtomicU32::new(0) }
    }

    /// Whether one more job may be accepted: the tables are there, and not too many jobs wait.
    pub(crate) fn has_room(&self) -> bool {
        self.prepared.load(Relaxed) && self.waiting.load(Relaxed) <= self.limit
    }

    /// What is in the way, by the last look.
    pub(crate) fn hindrance(&self) -> Option<Hindrance> {
        match (self.prepared.load(Relaxed), self.reachable.load(Relaxed)) {
            // Postgres may be away, or a migration may have failed: the log says which.
            (false, _) => Some(Hindrance::Unprepared),
            (true, false) => Some(Hindrance::Unreachable),
            (true, true) => None,
        }
    }

    fn saw(&self, look: Result<i64, String>) {
        let reachable = look.is_ok();
        match look {
            Ok(waiting) => {
                let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
                let was_full = self.waiting.swap(waiting, Relaxed) > self.limit;
                metrics::set_waiting_jobs(waiting);
                if (waiting > self.limit) != was_full {
                    tracing::warn!(limit = self.limit, full = !was_full, "the queue's limit was crossed");
                }
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

/// Makes the tables and the days ahead, as soon as Postgres lets it; then the days again, every day, for ever.
pub(crate) async fn prepare(pool: PgPool, queue: Arc<QueueWatch>, migrate: bool) {
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
pub(crate) async fn watch(pool: PgPool, queue: Arc<QueueWatch>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // One more than the limit is enough to know that there are too many.
    let count_to = i64::from(queue.limit) + 1;
    loop {
        ticks.tick().await;
        if queue.prepared.load(Relaxed) {
            let look = timeout(LOOK_TIME, outbox::waiting_jobs(&pool, count_to)).await;
            queue.saw(match look {
                Ok(count) => count.map_err(|error| error.to_string()),
                Err(_) => Err("no answer in 5 s".to_owned()),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_while_the_tables_are_there_and_the_queue_is_within_its_limit() {
        let watch = QueueWatch::new(2);
        assert!(!watch.has_room());
        watch.prepared.store(true, Relaxed);
        for (waiting, room) in [(0, true), (2, true), (3, false), (1, true)] {
            watch.saw(Ok(waiting));
            assert_eq!(watch.has_room(), room, "{waiting}");
        }
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let watch = QueueWatch::new(2);
        assert_eq!(watch.hindrance(), Some(Hindrance::Unprepared));
        watch.prepared.store(true, Relaxed);
        watch.saw(Ok(0));
        assert_eq!(watch.hindrance(), None);
        watch.saw(Err("gone".to_owned()));
        assert_eq!(watch.hindrance(), Some(Hindrance::Unreachable));
    }
}
