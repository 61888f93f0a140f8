//! Reports that this worker is running, and publishes metrics about all running programs.

use std::sync::Arc;

use outbox::programs::REPORT_INTERVAL;
use tokio::time::{MissedTickBehavior, interval};

use crate::{metrics, runtime::worker::Worker};

/// Reports every 10 seconds that this worker is running. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // `observe` logs any error. The next report follows in any case.
        let _ = worker.outage.observe(worker.reporter.report(&worker.pool).await);
        metrics::set_programs(worker.reporter.latest().as_ref());
    }
}
