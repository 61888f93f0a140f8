//! What happens to the cluster while people ask.

use std::time::Duration;

use tokio::time::sleep;

use crate::cluster::Cluster;

/// Undisturbed time before the trouble.
const BEFORE: Duration = Duration::from_secs(8);
/// Time until a killed machine is started again.
const DEAD: Duration = Duration::from_secs(30);
/// Time that a machine hangs: longer than Patroni's TTL and than LEASE_SECONDS.
const FROZEN: Duration = Duration::from_secs(40);
/// Time that the standby hangs: longer than `wal_sender_timeout`.
const STANDBY_FROZEN: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// An operator hands the primary's role to a standby.
    Switchover,
    /// The primary's Patroni and Postgres are killed, and started again later.
    Kill,
    /// The primary's Patroni and Postgres hang, and go on later.
    Freeze,
    /// Those of the standby that the primary waits for hang, and go on later.
    FreezeStandby,
}

impl Trouble {
    /// A word for it, which is also the beginning of its people's addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trouble::Switchover => "switchover",
            Trouble::Kill => "kill",
            Trouble::Freeze => "freeze",
            Trouble::FreezeStandby => "standby",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Trouble::Switchover => "planned switchover",
            Trouble::Kill => "primary killed, back after 30 s",
            Trouble::Freeze => "primary frozen for 40 s",
            Trouble::FreezeStandby => "synchronous standby frozen for 15 s",
        }
    }

    /// Whether another node is the primary afterwards.
    pub(crate) fn moves_the_primary(self) -> bool {
        self != Trouble::FreezeStandby
    }

    /// Makes the trouble, and ends it. Returns whether another node is the primary now.
    pub(crate) async fn make(self, cluster: &mut Cluster) -> bool {
        let primary = cluster.until_whole().await.name.clone();
        sleep(BEFORE).await;
        let struck = match self {
            Trouble::FreezeStandby => cluster.synchronous_standby().await,
            Trouble::Switchover | Trouble::Kill | Trouble::Freeze => primary.clone(),
        };
        eprintln!("ha:   {}: {struck}", self.description());
        let struck = cluster.position(&struck);
        match self {
            Trouble::Switchover => cluster.switch_over(&cluster.nodes[struck]).await,
            Trouble::Kill => {
                cluster.nodes[struck].kill();
                sleep(DEAD).await;
                cluster.restart(struck);
            }
            Trouble::Freeze => cluster.nodes[struck].freeze_for(FROZEN).await,
            Trouble::FreezeStandby => cluster.nodes[struck].freeze_for(STANDBY_FROZEN).await,
        }
        let now = cluster.until_whole().await.name.clone();
        eprintln!("ha:   the primary is {now}, and both standbys follow it");
        now != primary
    }
}
