//! The disruptions that the test causes in the cluster while people send requests.

use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;

/// How long people send requests before the disruption begins.
const BEFORE: Duration = Duration::from_secs(8);
/// How long a killed node stays down before it is restarted.
const DOWN: Duration = Duration::from_secs(30);
/// Time for which the primary is frozen. It is longer than Patroni's TTL and LEASE_SECONDS.
const FROZEN: Duration = Duration::from_secs(40);
/// Time for which the standby is frozen. It is longer than `wal_sender_timeout`.
const STANDBY_FROZEN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disruption {
    /// A planned switchover to a standby.
    Switchover,
    /// The primary's Patroni and Postgres are killed, and restarted later.
    Kill,
    /// The primary's Patroni and Postgres are frozen, and thawed later.
    Freeze,
    /// The synchronous standby's Patroni and Postgres are frozen, and thawed later.
    FreezeStandby,
}

impl Disruption {
    /// The short name of the disruption. The recipients' addresses in a run start with this name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Disruption::Switchover => "switchover",
            Disruption::Kill => "kill",
            Disruption::Freeze => "freeze",
            Disruption::FreezeStandby => "standby",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Disruption::Switchover => "planned switchover",
            Disruption::Kill => "primary killed, restarted after 30 s",
            Disruption::Freeze => "primary frozen for 40 s",
            Disruption::FreezeStandby => "synchronous standby frozen for 15 s",
        }
    }

    /// Returns whether the disruption should make another node the primary.
    pub(crate) fn moves_the_primary(self) -> bool {
        self != Disruption::FreezeStandby
    }

    /// Causes the disruption, ends it, and waits until the cluster is complete again. Returns whether another node has
    /// become the primary.
    pub(crate) async fn make(self, cluster: &mut Cluster) -> bool {
        let primary = cluster.until_complete().await.name.clone();
        sleep(BEFORE).await;
        let target = match self {
            Disruption::FreezeStandby => cluster.synchronous_standby().await,
            Disruption::Switchover | Disruption::Kill | Disruption::Freeze => primary.clone(),
        };
        eprintln!("ha:   {}: {target}", self.description());
        let target = cluster.position(&target);
        match self {
            Disruption::Switchover => cluster.switch_over(&cluster.nodes[target]).await,
            Disruption::Kill => {
                cluster.nodes[target].kill();
                sleep(DOWN).await;
                cluster.restart(target);
            }
            Disruption::Freeze => cluster.nodes[target].freeze_for(FROZEN).await,
            Disruption::FreezeStandby => cluster.nodes[target].freeze_for(STANDBY_FROZEN).await,
        }
        let now = cluster.until_complete().await.name.clone();
        eprintln!("ha:   the primary is {now}, and both standbys follow it");
        now != primary
    }
}
