//! Reports that this worker is running, and publishes what is known of all programs.

use std::{sync::Arc, time::Duration};

use outbox::programs::REPORT_INTERVAL;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{metrics, runtime::worker::Worker};

/// Longest time that a stop waits for the database.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// Reports the worker every 10 seconds. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut ticks = interval(REPORT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // `observe` has logged an error; the next report follows in any case.
        let _ = worker.outage.observe(worker.reporter.report(&worker.pool).await);
        metrics::set_programs(worker.reporter.latest().as_ref());
    }
}

/// Reports that the worker stops, if the database answers soon.
pub(crate) async fn stop(worker: &Worker) {
    let stopped = timeout(STOP_PATIENCE, worker.reporter.report_stop(&worker.pool)).await;
    if !matches!(stopped, Ok(Ok(()))) {
        tracing::debug!("this worker's row in email_programs stays: it is ignored after 30 seconds");
    }
}
