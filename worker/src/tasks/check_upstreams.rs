//! Checks the upstreams independently of jobs. Each upstream is checked at startup, every two seconds while it is
//! stopped, and otherwise every minute (Supabase) or every five minutes (Mailgun), but not while an operator has paused
//! it. A wrong key is therefore detected even if there are no jobs, and a corrected key is detected within seconds.
//! Also logs the end of each pause that an upstream requested.

use std::{sync::Arc, time::Duration};

use outbox::{
    Error, Upstream,
    upstreams::{self, StoppedBy},
};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{
    runtime::{upstream_stop, worker::Worker},
    upstream::check::CheckResult,
};

/// How often to test whether a check is due.
const TICK: Duration = Duration::from_secs(1);
/// Time between two checks of a stopped upstream.
const STOPPED_INTERVAL: Duration = Duration::from_secs(2);
/// Timeout for a check of a stopped upstream. It is short, because an upstream that has recovered may never respond to
/// a call that was sent before the recovery. A check that times out changes nothing, and the next check follows soon.
const STOPPED_TIMEOUT: Duration = Duration::from_secs(2);
/// Time between two checks of Supabase while it works.
const SUPABASE_INTERVAL: Duration = Duration::from_secs(60);
/// Time between two checks of Mailgun while it works. This interval is longer, because each check appears in Mailgun's
/// log.
const MAILGUN_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Checks both upstreams, and logs the end of each pause. Each upstream has its own loop, so that an upstream that does
/// not respond does not delay the other. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    tokio::join!(
        check_regularly(&worker, Upstream::Supabase, SUPABASE_INTERVAL),
        check_regularly(&worker, Upstream::Mailgun, MAILGUN_INTERVAL),
        end_pauses(&worker),
    );
}

async fn check_regularly(worker: &Worker, upstream: Upstream, usual_interval: Duration) {
    let mut ticks = ticks();
    let mut is_first = true;
    loop {
        ticks.tick().await;
        let min_interval = if is_first { TICK } else { usual_interval };
        // `observe` logs any error. The next tick tries again.
        if worker.outage.observe(check_if_due(worker, upstream, min_interval).await).is_ok() {
            is_first = false;
        }
    }
}

async fn end_pauses(worker: &Worker) {
    let mut ticks = ticks();
    loop {
        ticks.tick().await;
        // `observe` logs any error. The next tick tries again.
        let _ = worker.outage.observe(upstream_stop::end_pauses(worker).await);
    }
}

fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Checks an upstream, unless any worker has checked it within `min_interval` or an operator has paused it. For a
/// stopped upstream, [`STOPPED_INTERVAL`] applies instead if it is shorter.
async fn check_if_due(worker: &Worker, upstream: Upstream, min_interval: Duration) -> Result<(), Error> {
    let is_stopped = upstreams::is_stopped(&worker.pool, upstream).await?;
    let min_interval = if is_stopped { min_interval.min(STOPPED_INTERVAL) } else { min_interval };
    let call = async {
        let call = worker.check(upstream, Duration::MAX);
        if is_stopped { timeout(STOPPED_TIMEOUT, call).await.unwrap_or(CheckResult::Unclear) } else { call.await }
    };
    match worker.upstream_monitor.check_if_due(&worker.pool, upstream, min_interval, call).await? {
        Some((began_at, result)) => apply(worker, upstream, began_at, &result).await,
        None => Ok(()),
    }
}

async fn apply(worker: &Worker, upstream: Upstream, began_at: Instant, result: &CheckResult) -> Result<(), Error> {
    match result {
        CheckResult::Passed => upstream_stop::resume(worker, upstream, began_at, true).await,
        CheckResult::Failed(failure) => {
            // Note the failure, so that the next success is recorded even if it comes from a job that was claimed
            // before the stop.
            worker.upstream_monitor.note_suspicion(upstream);
            upstream_stop::stop(worker, upstream, StoppedBy::Check, began_at, failure).await
        }
        CheckResult::Unclear => Ok(()),
    }
}
