//! Remembers where in the queue a worker's next claim starts.
//!
//! The queue's index keeps entries of deleted jobs for as long as an old snapshot may need them, and a dump or a long
//! report keeps its snapshot for minutes. A claim from the start of the queue would read all of those entries each
//! time.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::claim::{ClaimBatch, ClaimOptions, ClaimedJob, START, claim_after};
use crate::postgres::error::Error;

/// Minimum time between two claims from the start of the queue while there is a backlog. Only these claims find the
/// jobs before the cursor: retries that have become due, and jobs that had to wait for their recipient's running job.
const FROM_START_EVERY: Duration = Duration::from_millis(100);
/// Time until the next claim from the start of the queue, as a multiple of the duration of the last one. The time is at
/// least `FROM_START_EVERY` and at most `FROM_START_AT_LEAST_EVERY`.
const SHARE: u32 = 10;
/// Maximum time between two claims from the start of the queue.
const FROM_START_AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// One worker's position in the queue. While there is a backlog, each claim starts where the last claim ended, except
/// that every 0.1 to 2 s a claim begins at the start of the queue.
#[derive(Debug, Default)]
pub struct QueueCursor(Option<Position>);

#[derive(Debug, Clone, Copy)]
struct Position {
    /// The place of the last row that was claimed.
    place: i64,
    /// When to claim from the start of the queue again.
    until: Instant,
}

impl QueueCursor {
    /// Claims jobs as [`claim()`](crate::claim()) does. Returns an empty list only if no job in the whole queue can be
    /// claimed.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::TimedOut`].
    pub async fn claim(&mut self, pool: &PgPool, options: ClaimOptions<'_>) -> Result<Vec<ClaimedJob>, Error> {
        if let Some(Position { place, until }) = self.0.take().filter(|position| Instant::now() < position.until) {
            let claimed = claim_after(pool, options, place).await?;
            if !claimed.jobs.is_empty() {
                self.remember(&claimed, options.limit, until);
                return Ok(claimed.jobs);
            }
        }
        let began = Instant::now();
        let claimed = claim_after(pool, options, START).await?;
        let pause = (began.elapsed() * SHARE).clamp(FROM_START_EVERY, FROM_START_AT_LEAST_EVERY);
        self.remember(&claimed, options.limit, Instant::now() + pause);
        Ok(claimed.jobs)
    }

    /// If a claim returned fewer jobs than its limit, it has probably reached the end of the queue, so the next claim
    /// starts at the beginning.
    fn remember(&mut self, claimed: &ClaimBatch, limit: i64, until: Instant) {
        let is_full = i64::try_from(claimed.jobs.len()).is_ok_and(|jobs| jobs >= limit);
        self.0 = claimed.last.filter(|_| is_full).map(|place| Position { place, until });
    }
}
