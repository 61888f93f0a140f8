//! Publishes how many jobs this worker finishes per second, so that the api accepts only as many requests as the
//! workers can handle before the jobs' deadlines.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::runtime::{capacity::RateWindow, worker::Worker};

const INTERVAL: Duration = Duration::from_secs(1);
/// Minimum time since the last database error before the rate is measured. This excludes the second in which the error
/// occurred and the next one, in which the worker starts to claim jobs again.
const MIN_TIME_WITHOUT_ERROR: Duration = Duration::from_secs(2);

/// Publishes the rate every second while there is a backlog. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut window = RateWindow::default();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if worker.outage.time_since_error() < MIN_TIME_WITHOUT_ERROR {
            worker.capacity.record_outage();
        }
        if let Some(rate) = window.push(worker.capacity.take_second()) {
            let published = outbox::in_time(outbox::publish_capacity(&worker.pool, &worker.name, rate)).await;
            // `observe` logs any error. While the backlog lasts, the rate is published again every second.
            let _ = worker.outage.observe(published);
        }
    }
}
