//! Checks the upstreams without waiting for a person to ask: at the start, every two seconds while one is stopped, and
//! otherwise when no call has succeeded for a while. So a wrong key is known before the first job, and a fixed one soon.

use std::{sync::Arc, time::Duration};

use outbox::{
    Error, Upstream,
    upstreams::{self, StoppedBy},
};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    runtime::{upstream_stop, worker::Worker},
    upstream::check::CheckResult,
};

/// Time between two looks at whether a check is due.
const TICK: Duration = Duration::from_secs(1);
/// Time between two checks of a stopped upstream.
const STOPPED_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two checks of Supabase while it works.
const SUPABASE_INTERVAL: Duration = Duration::from_secs(60);
/// Time between two checks of Mailgun while it works. Longer, because Mailgun's log shows each of them.
const MAILGUN_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Checks both upstreams. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_first = true;
    loop {
        ticks.tick().await;
        // `observe` has logged an error; the next tick tries again.
        if worker.outage.observe(check_due(&worker, is_first).await).is_ok() {
            is_first = false;
        }
    }
}

async fn check_due(worker: &Worker, is_first: bool) -> Result<(), Error> {
    let stopped: Vec<Upstream> = upstreams::stops(&worker.pool).await?.into_iter().map(|stop| stop.upstream).collect();
    let interval = |upstream, idle| match (is_first, stopped.contains(&upstream)) {
        (true, _) => TICK,
        (false, true) => STOPPED_INTERVAL,
        (false, false) => idle,
    };
    let supabase = check(worker, Upstream::Supabase, interval(Upstream::Supabase, SUPABASE_INTERVAL));
    let mailgun = check(worker, Upstream::Mailgun, interval(Upstream::Mailgun, MAILGUN_INTERVAL));
    let (supabase, mailgun) = tokio::join!(supabase, mailgun);
    supabase.and(mailgun)
}

async fn check(worker: &Worker, upstream: Upstream, min_interval: Duration) -> Result<(), Error> {
    let Some((began_at, result)) =
        worker.upstream_monitor.check_if_due(&worker.pool, upstream, min_interval, worker.check(upstream)).await?
    else {
        return Ok(());
    };
    apply(worker, upstream, began_at, &result).await
}

async fn apply(worker: &Worker, upstream: Upstream, began_at: Instant, result: &CheckResult) -> Result<(), Error> {
    match result {
        CheckResult::Passed => upstream_stop::resume(worker, upstream, began_at, true).await,
        CheckResult::Failed(failure) => upstream_stop::stop(worker, upstream, failure, StoppedBy::Check).await,
        CheckResult::Unclear => Ok(()),
    }
}
