//! Where in the queue a worker's claims begin.
//!
//! The queue's index keeps the entries of jobs that have gone for as long as a snapshot may need them, and a dump or a long
//! report keeps its snapshot for minutes. A claim from the very beginning would read all that went since, each time.

use std::time::{Duration, Instant};

use sqlx::PgPool;

use super::claim::{ClaimBatch, START, claim_behind};
use crate::{ClaimOptions, ClaimedJob, Error};

/// While more jobs wait than are taken, the queue is looked at from its beginning so often: a retry that is due, or a job
/// whose recipient had one running, stands before those that were claimed since.
const FROM_START_EVERY: Duration = Duration::from_millis(100);
/// And takes no more of the time than one part in so many,
const SHARE: u32 = 10;
/// unless it was that long ago.
const FROM_START_AT_LEAST_EVERY: Duration = Duration::from_secs(2);

/// One worker's place in the queue. While more jobs wait than it takes, a claim begins where the last one ended, and several
/// times a second from the beginning.
#[derive(Debug, Default)]
pub struct QueueCursor(Option<Position>);

#[derive(Debug, Clone, Copy)]
struct Position {
    /// The last place that was taken.
    place: i64,
    /// When to look from the beginning again.
    until: Instant,
}

impl QueueCursor {
    /// Takes jobs as [`claim()`](crate::claim()) does. None, only if there are none in the whole queue.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn claim(&mut self, pool: &PgPool, options: ClaimOptions<'_>) -> Result<Vec<ClaimedJob>, Error> {
        if let Some(Position { place, until }) = self.0.take().filter(|behind| Instant::now() < behind.until) {
            let claimed = claim_behind(pool, options, place).await?;
            if !claimed.jobs.is_empty() {
                self.go_on_behind(&claimed, options.limit, until);
                return Ok(claimed.jobs);
            }
        }
        let began = Instant::now();
        let claimed = claim_behind(pool, options, START).await?;
        let pause = (began.elapsed() * SHARE).clamp(FROM_START_EVERY, FROM_START_AT_LEAST_EVERY);
        self.go_on_behind(&claimed, options.limit, Instant::now() + pause);
        Ok(claimed.jobs)
    }

    /// One that did not get all that it could take has seen the end of the queue: the next begins anew.
    fn go_on_behind(&mut self, claimed: &ClaimBatch, limit: i64, until: Instant) {
        let is_full = i64::try_from(claimed.jobs.len()).is_ok_and(|jobs| jobs >= limit);
        self.0 = claimed.last.filter(|_| is_full).map(|place| Position { place, until });
    }
}
