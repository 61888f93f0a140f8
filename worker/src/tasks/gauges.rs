//! Publishes gauges for the state that all workers share: the queue, the upstreams, and what operators have paused.
//! Reads this state from the database every 5 seconds.
//!
//! While the database is unavailable, the gauges are NaN and `magic_link_database_up` is 0. A dashboard then shows a
//! gap, and no alert is based on an old value. `OutageLog` logs the outage.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use chrono::SecondsFormat;
use outbox::{
    Backlog, Error, PgPool,
    operate::pauses::{self, Pause, PauseTarget},
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
    let mut seen = SeenPauses::default();
    loop {
        ticks.tick().await;
        match worker.outage.observe(outbox::in_time(read_state(&worker.pool)).await) {
            Ok((backlog, upstream_states, pauses)) => {
                metrics::set_shared_state(&backlog, &upstream_states);
                seen.update(pauses);
            }
            Err(_) => {
                metrics::clear_shared_state();
                seen.clear_gauges();
            }
        }
    }
}

async fn read_state(pool: &PgPool) -> Result<(Vec<Backlog>, Vec<UpstreamState>, Vec<Pause>), Error> {
    Ok((outbox::backlog(pool).await?, upstreams::upstream_states(pool).await?, pauses::pauses(pool).await?))
}

/// The pauses that this worker has seen. Used to log the beginning and the end of each pause only once.
struct SeenPauses {
    in_force: BTreeMap<String, Pause>,
    /// All targets that have a gauge: those that exist in every deployment, and each portal that this worker has seen
    /// paused.
    targets: BTreeSet<String>,
}

impl Default for SeenPauses {
    fn default() -> Self {
        let targets = [PauseTarget::Mail, PauseTarget::Supabase, PauseTarget::Mailgun];
        Self { in_force: BTreeMap::new(), targets: targets.iter().map(PauseTarget::to_string).collect() }
    }
}

impl SeenPauses {
    fn update(&mut self, pauses: Vec<Pause>) {
        let in_force: BTreeMap<String, Pause> = pauses.into_iter().map(|pause| (pause.target.clone(), pause)).collect();
        for (target, pause) in &in_force {
            if self.in_force.get(target).is_none_or(|known| known.ends_at != pause.ends_at) {
                let ends_at = pause.ends_at.to_rfc3339_opts(SecondsFormat::Secs, true);
                tracing::warn!(paused = target, ends_at, paused_by = pause.paused_by, "paused by an operator");
            }
        }
        for target in self.in_force.keys().filter(|target| !in_force.contains_key(*target)) {
            tracing::info!(paused = target, "the operator's pause has ended");
        }
        self.targets.extend(in_force.keys().cloned());
        self.in_force = in_force;
        for target in &self.targets {
            metrics::set_paused(target, Some(self.in_force.contains_key(target)));
        }
    }

    fn clear_gauges(&self) {
        self.targets.iter().for_each(|target| metrics::set_paused(target, None));
    }
}
