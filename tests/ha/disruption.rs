//! The disruptions that the test causes in the cluster while people send requests.

use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;

/// Time before the disruption.
const BEFORE: Duration = Duration::from_secs(8);
/// Time until a killed node is restarted.
const DOWN: Duration = Duration::from_secs(30);
/// Time for which a node hangs: longer than Patroni's TTL and than LEASE_SECONDS.
const FROZEN: Duration = Duration::from_secs(40);
/// Time for which the standby hangs: longer than `wal_sender_timeout`.
const STANDBY_FROZEN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disruption {
    /// An operator hands the primary role to a standby.
    Switchover,
    /// The primary's Patroni and Postgres are killed, and restarted later.
    Kill,
    /// The primary's Patroni and Postgres freeze, and thaw later.
    Freeze,
    /// Patroni and Postgres of the synchronous standby freeze, and thaw later.
    FreezeStandby,
}

impl Disruption {
    /// The short name of the disruption. The addresses of the recipients in its run begin with this name.
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
            Disruption::Kill => "primary killed, back after 30 s",
            Disruption::Freeze => "primary frozen for 40 s",
            Disruption::FreezeStandby => "synchronous standby frozen for 15 s",
        }
    }

    /// Whether another node is the primary after the disruption.
    pub(crate) fn moves_the_primary(self) -> bool {
        self != Disruption::FreezeStandby
    }

    /// Causes the disruption and ends it. Returns whether another node is the primary now.
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
