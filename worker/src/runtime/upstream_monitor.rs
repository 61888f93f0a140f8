//! Makes check calls, shares their results between the deliveries of this process, and remembers whether this process has
//! seen a failure that may concern everybody.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use outbox::{Error, PgPool, Upstream, upstreams};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, sleep},
};

use crate::upstream::check::CheckResult;

/// Minimum time between two check calls of all workers together.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two attempts to get the turn for a check call after a failure.
const TRY_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of attempts to get the turn: other workers may take it each time.
const MAX_TRIES: u32 = 8;

/// What this process knows about both upstreams.
#[derive(Debug, Default)]
pub struct UpstreamMonitor {
    supabase: Monitored,
    mailgun: Monitored,
}

#[derive(Debug, Default)]
struct Monitored {
    /// The last check call of this process. Locked during a check call, so that other deliveries wait for its result.
    last_check: Mutex<Option<(Instant, CheckResult)>>,
    /// Whether this process has seen a suspicious failure since its last recorded success.
    has_suspicion: AtomicBool,
}

impl UpstreamMonitor {
    fn of(&self, upstream: Upstream) -> &Monitored {
        match upstream {
            Upstream::Supabase => &self.supabase,
            Upstream::Mailgun => &self.mailgun,
        }
    }

    /// Remembers a failure that may concern everybody: the next successes must be recorded.
    pub fn note_suspicion(&self, upstream: Upstream) {
        self.of(upstream).has_suspicion.store(true, Relaxed);
    }

    /// Whether there was a suspicious failure, and forgets it.
    pub fn take_suspicion(&self, upstream: Upstream) -> bool {
        self.of(upstream).has_suspicion.swap(false, Relaxed)
    }

    /// Checks an upstream after a call, begun at `since`, that failed. Uses the result of a check call that began later than
    /// that; otherwise makes one with `call`, as soon as no worker has begun one within the last second. The result is unclear
    /// if that takes longer than [`MAX_TRIES`] times [`TRY_INTERVAL`]. Returns when the check call began, too.
    ///
    /// # Errors
    /// The database refused the turn.
    pub async fn check_after_failure(
        &self,
        pool: &PgPool,
        upstream: Upstream,
        since: Instant,
        call: impl Future<Output = CheckResult>,
    ) -> Result<(Instant, CheckResult), Error> {
        let mut last = self.of(upstream).last_check.lock().await;
        if let Some((began_at, result)) = &*last
            && *began_at >= since
        {
            return Ok((*began_at, result.clone()));
        }
        let mut tries = 0;
        while !upstreams::take_check(pool, upstream, MIN_INTERVAL).await? {
            tries += 1;
            if tries == MAX_TRIES {
                return Ok((Instant::now(), CheckResult::Unclear));
            }
            sleep(TRY_INTERVAL).await;
        }
        let began_at = Instant::now();
        let result = call.await;
        *last = Some((began_at, result.clone()));
        Ok((began_at, result))
    }

    /// Checks an upstream with `call`, unless any worker has begun a check call within `min_interval`. Returns the result and when the
    /// call began.
    ///
    /// # Errors
    /// The database refused the turn.
    pub async fn check_if_due(
        &self,
        pool: &PgPool,
        upstream: Upstream,
        min_interval: Duration,
        call: impl Future<Output = CheckResult>,
    ) -> Result<Option<(Instant, CheckResult)>, Error> {
        let mut last = self.of(upstream).last_check.lock().await;
        if !upstreams::take_check(pool, upstream, min_interval.max(MIN_INTERVAL)).await? {
            return Ok(None);
        }
        let began_at = Instant::now();
        let result = call.await;
        *last = Some((began_at, result.clone()));
        Ok(Some((began_at, result)))
    }
}
