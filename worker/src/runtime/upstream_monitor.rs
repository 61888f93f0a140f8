//! Makes check calls and shares their results between the deliveries of this process. Also tracks whether this process
//! has seen a failure that may affect everybody.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use outbox::{Error, PgPool, Upstream, upstreams};
use tokio::{
    sync::Mutex,
    time::{Duration, Instant, sleep},
};

use crate::upstream::check::CheckResult;

/// Minimum time between two check calls, across all workers.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two attempts to reserve a check call after a failed call. An attempt fails if any worker has begun a
/// check call within [`MIN_INTERVAL`], or if an operator has paused the upstream.
const TRY_INTERVAL: Duration = Duration::from_millis(250);
/// Maximum number of attempts to reserve a check call. Without this limit, a delivery might wait forever, because other
/// workers may always be faster.
const MAX_TRIES: u32 = 8;

/// The state of both upstreams, as this process has seen it.
#[derive(Debug, Default)]
pub struct UpstreamMonitor {
    supabase: MonitorState,
    mailgun: MonitorState,
}

#[derive(Debug, Default)]
struct MonitorState {
    /// The last check call of this process. Locked during a check call, so that other deliveries wait for its result.
    last_check: Mutex<Option<(Instant, CheckResult)>>,
    /// Whether, since it last recorded a success, this process has seen a failure that may affect everybody.
    has_suspicion: AtomicBool,
}

impl UpstreamMonitor {
    fn state(&self, upstream: Upstream) -> &MonitorState {
        match upstream {
            Upstream::Supabase => &self.supabase,
            Upstream::Mailgun => &self.mailgun,
        }
    }

    /// Notes a failure that may affect everybody, so that the next success is recorded.
    pub fn note_suspicion(&self, upstream: Upstream) {
        self.state(upstream).has_suspicion.store(true, Relaxed);
    }

    /// Returns whether a failure that may affect everybody was noted, and clears the note.
    pub fn take_suspicion(&self, upstream: Upstream) -> bool {
        self.state(upstream).has_suspicion.swap(false, Relaxed)
    }

    /// Checks an upstream after a failed call that began at `since`. Returns the result and the time when the check
    /// call began. If this worker has begun a check call after `since`, its result is reused. If not, this function
    /// reserves a check call and makes it with `call`. The workers together can reserve one check call per second, and
    /// none while an operator has paused the upstream. The result is unclear if [`MAX_TRIES`] attempts to reserve a
    /// check call fail.
    ///
    /// # Errors
    /// The database cannot be used to reserve the check call.
    pub async fn check_after_failure(
        &self,
        pool: &PgPool,
        upstream: Upstream,
        since: Instant,
        call: impl Future<Output = CheckResult>,
    ) -> Result<(Instant, CheckResult), Error> {
        let mut last = self.state(upstream).last_check.lock().await;
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

    /// Checks an upstream with `call`. Returns the result and the time when the check call began. Makes no call and
    /// returns `None` if an operator has paused the upstream, or if any worker has begun a check call within
    /// `min_interval` or [`MIN_INTERVAL`], whichever is longer.
    ///
    /// # Errors
    /// The database cannot be used to reserve the check call.
    pub async fn check_if_due(
        &self,
        pool: &PgPool,
        upstream: Upstream,
        min_interval: Duration,
        call: impl Future<Output = CheckResult>,
    ) -> Result<Option<(Instant, CheckResult)>, Error> {
        let mut last = self.state(upstream).last_check.lock().await;
        if !upstreams::take_check(pool, upstream, min_interval.max(MIN_INTERVAL)).await? {
            return Ok(None);
        }
        let began_at = Instant::now();
        let result = call.await;
        *last = Some((began_at, result.clone()));
        Ok(Some((began_at, result)))
    }
}
