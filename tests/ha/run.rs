//! A disruption while people send requests, and what was observed.

use std::time::Duration;

use tests::TestSystem;

use crate::{
    cluster::Cluster,
    disruption::Disruption,
    load::{self, Asked},
    prober::Prober,
    readiness::{Readiness, Watch},
    spans::Span,
    variant::Variant,
};

/// What was observed during one disruption.
pub(crate) struct Run {
    pub(crate) disruption: Disruption,
    /// Whether another node became the primary.
    pub(crate) has_failed_over: bool,
    pub(crate) asked: Vec<Asked>,
    /// The periods in which no new connection could write.
    pub(crate) outages: Vec<Span>,
    /// For each outage, the time after which new connections no longer hung.
    pub(crate) settled: Vec<f64>,
    pub(crate) readiness: Readiness,
    /// When and why new connections could not write, for the logs.
    pub(crate) failed_probes: String,
    /// Number of the prober's read-only sessions that the balancer kept open.
    pub(crate) sessions_kept: usize,
    /// Number of the programs' sessions on standbys at the end of the run.
    pub(crate) sessions_on_standbys: usize,
}

impl Run {
    /// Causes a disruption while people send requests, and waits until the system has recovered.
    pub(crate) async fn of(
        variant: &Variant,
        (disruption, time): (Disruption, Duration),
        cluster: &mut Cluster,
        system: &TestSystem,
    ) -> Self {
        let prober = Prober::start(system.database.url(), variant.has_pooler);
        let watch = Watch::start(system).await;
        let asks = tokio::spawn(load::keep_asking(load::urls(system).await, disruption.name(), time));
        let has_failed_over = disruption.make(cluster).await;
        let asked = asks.await.unwrap();
        system.until_idle().await;
        let (readiness, probes) = (watch.stop().await, prober.stop().await);
        let outages = probes.outages();
        let settled = outages.iter().map(|outage| probes.settled(outage)).collect();
        outages.iter().for_each(|it| {
            eprintln!("ha:   no new connection could write for {:.1} s, starting at {:.1}", it.seconds(), it.from)
        });
        Self {
            disruption,
            has_failed_over,
            asked,
            outages,
            settled,
            readiness,
            failed_probes: probes.failures(),
            sessions_kept: probes.sessions_kept().await,
            sessions_on_standbys: cluster.sessions_on_standbys().await,
        }
    }

    /// Returns whether a recipient's address belongs to this run.
    pub(crate) fn is_of(&self, recipient: &str) -> bool {
        recipient.strip_prefix(self.disruption.name()).is_some_and(|rest| rest.starts_with('-'))
    }
}
