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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// An operator hands the primary's role to a standby.
    Switchover,
    /// The primary's Patroni and Postgres are killed, and started again later.
    Kill,
    /// The primary's Patroni and Postgres hang, and go on later.
    Freeze,
}

impl Trouble {
    /// A word for it, which is also the beginning of its people's addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trouble::Switchover => "switchover",
            Trouble::Kill => "kill",
            Trouble::Freeze => "freeze",
        }
    }

    pub(crate) fn description(self) -> &'static str {
        match self {
            Trouble::Switchover => "planned switchover",
            Trouble::Kill => "primary killed, back after 30 s",
            Trouble::Freeze => "primary frozen for 40 s",
        }
    }

    /// Makes the trouble, and ends it. Returns whether another node is the primary now.
    pub(crate) async fn make(self, cluster: &mut Cluster) -> bool {
        let old = cluster.until_whole().await;
        let old = cluster.nodes.iter().position(|node| node.name == old.name).unwrap();
        sleep(BEFORE).await;
        eprintln!("ha:   {}: {}", self.description(), cluster.nodes[old].name);
        match self {
            Trouble::Switchover => cluster.switch_over(&cluster.nodes[old]).await,
            Trouble::Kill => {
                cluster.nodes[old].kill();
                sleep(DEAD).await;
                cluster.restart(old);
            }
            Trouble::Freeze => {
                cluster.nodes[old].freeze();
                sleep(FROZEN).await;
                cluster.nodes[old].thaw();
            }
        }
        let new = cluster.until_whole().await.name.clone();
        eprintln!("ha:   the new primary is {new}, and both standbys follow it");
        new != cluster.nodes[old].name
    }
}
