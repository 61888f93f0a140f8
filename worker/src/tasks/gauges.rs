//! The queue and the upstreams, as all workers share them: read off the tables every few seconds, shown as gauges.
//!
//! While the database is away, nobody knows: then the gauges are NaN, so that a dashboard shows a gap and no alert
//! believes an old number, and `magic_link_database_up` is 0. (The log is told by the outage's watch.)

use std::{sync::Arc, time::Duration};

use outbox::{
    Backlog, Error, PgPool,
    upstreams::{self, UpstreamState},
};
use tokio::time::{MissedTickBehavior, interval};

use crate::{metrics, runtime::worker::Worker};

/// No slower than Prometheus usually asks, and nothing to a database.
const EVERY: Duration = Duration::from_secs(5);

/// Keeps the gauges true, for ever.
pub(crate) async fn keep_true(worker: Arc<Worker>) {
    let mut turns = interval(EVERY);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match worker.outage.observe(outbox::in_time(look(&worker.pool)).await) {
            Ok((backlog, upstream_states)) => metrics::set_shared_state(&backlog, &upstream_states),
            Err(_) => metrics::clear_shared_state(),
        }
    }
}

async fn look(pool: &PgPool) -> Result<(Vec<Backlog>, Vec<UpstreamState>), Error> {
    Ok((outbox::backlog(pool).await?, upstreams::upstream_states(pool).await?))
}
