//! Publishes the state that all workers share as gauges: the queue and the upstreams. Reads the state from the database every
//! 5 seconds.
//!
//! While the database is unavailable, the gauges are NaN and `magic_link_database_up` is 0. A dashboard then shows a gap, and
//! no alert is based on an old value. `OutageLog` logs the outage.

use std::{sync::Arc, time::Duration};

use outbox::{
    Backlog, Error, PgPool,
    upstreams::{self, UpstreamState},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{metrics, runtime::worker::Worker};

/// Time between two updates. Prometheus usually does not scrape more often, and the load on the database is negligible.
const INTERVAL: Duration = Duration::from_secs(5);

/// Updates the gauges every 5 seconds. Never returns.
pub(crate) async fn run(worker: Arc<Worker>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match worker.outage.observe(outbox::in_time(read_state(&worker.pool)).await) {
            Ok((backlog, upstream_states)) => metrics::set_shared_state(&backlog, &upstream_states),
            Err(_) => metrics::clear_shared_state(),
        }
    }
}

async fn read_state(pool: &PgPool) -> Result<(Vec<Backlog>, Vec<UpstreamState>), Error> {
    Ok((outbox::backlog(pool).await?, upstreams::upstream_states(pool).await?))
}
