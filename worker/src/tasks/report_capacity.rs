//! Publishes how many jobs this worker ends per second, so that the api accepts no more requests than can be mailed in time.

use std::{sync::Arc, time::Duration};

use tokio::time::{MissedTickBehavior, interval};

use crate::runtime::{capacity::RateWindow, worker::Worker};

/// Time between two measurements.
const EVERY: Duration = Duration::from_secs(1);

/// Publishes the rate every second while there is a backlog. Never returns.
pub(crate) async fn report_capacity(worker: Arc<Worker>) {
    let mut seconds = RateWindow::default();
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        if let Some(rate) = seconds.push(worker.capacity.take_second()) {
            let published = outbox::in_time(outbox::publish_capacity(&worker.pool, &worker.name, rate)).await;
            // `watch` has logged an error; the next second publishes again.
            let _ = worker.outage.observe(published);
        }
    }
}
