//! Three Postgres servers under Patroni, with one etcd server. All of these processes listen on loopback, and they stop
//! when the [`Cluster`] is dropped.

mod etcd;
mod node;
mod postmaster;

use std::{
    fmt::{self, Debug, Formatter},
    time::Duration,
};

use nix::sys::signal::Signal;
pub(crate) use node::Node;
use reqwest::Client;
use sandbox::{Daemon, DaemonFolder, ServerAddress, eventually};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

/// Patroni's `ttl` in seconds. The default is 30.
pub(crate) const TTL: u32 = 15;
/// Patroni's `loop_wait` in seconds. The default is 10.
pub(crate) const LOOP_WAIT: u32 = 3;
/// Patroni's `retry_timeout` in seconds. The default is 10.
pub(crate) const RETRY_TIMEOUT: u32 = 5;

/// After this time, the primary stops waiting for a standby that does not answer. Postgres's default is 60 s.
pub(crate) const WAL_SENDER_TIMEOUT: &str = "5s";

/// Number of nodes: a primary, its synchronous standby, and another standby that can replace the synchronous one.
pub(crate) const NODES: usize = 3;

/// The number of streaming standbys, and the number of synchronous ones among them.
const STANDBYS: &str = "
    select count(*), count(*) filter (where sync_state = 'sync')
    from pg_stat_replication
    where state = 'streaming'";

/// A running cluster.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    etcd: Daemon,
    folder: DaemonFolder,
    client: Client,
}

impl Cluster {
    /// Starts the cluster and waits until both standbys follow the primary.
    pub(crate) async fn start() -> Self {
        let folder = DaemonFolder::create("ha").unwrap();
        let (etcd, etcd_port) = etcd::start(&folder).await;
        let password = format!("{:032x}", rand::random::<u128>());
        let nodes = (1..=NODES).map(|number| Node::start(&folder, number, etcd_port, &password)).collect();
        let cluster = Self { nodes, etcd, folder, client: sandbox::client().unwrap() };
        cluster.until_complete().await;
        cluster
    }

    /// Returns the address of a port that forwards connections to the servers, such as the balancer's. The address
    /// contains the password, which is the same for all roles.
    pub(crate) fn address_at(&self, port: u16) -> ServerAddress {
        self.nodes[0].server.at_port(port)
    }

    /// Returns the primary, or `None` if no node or more than one node reports that it is the primary.
    pub(crate) async fn primary(&self) -> Option<&Node> {
        let mut primaries = vec![];
        for node in &self.nodes {
            if self.is(node, "primary").await {
                primaries.push(node);
            }
        }
        if let [primary] = primaries[..] { Some(primary) } else { None }
    }

    /// Returns whether Patroni reports `role` for `node`.
    async fn is(&self, node: &Node, role: &str) -> bool {
        let asked = self.client.get(node.rest_url(role)).timeout(Duration::from_secs(1)).send().await;
        asked.is_ok_and(|answer| answer.status() == 200)
    }

    /// Waits until there is one primary with two standbys, one of them synchronous. Returns the primary.
    pub(crate) async fn until_complete(&self) -> &Node {
        eventually("a primary with two standbys", async || {
            let Some(primary) = self.primary().await else { return Err(self.incomplete("no primary".to_owned())) };
            match standbys(primary).await {
                Ok((2, 1)) => Ok(primary),
                other => {
                    let name = &primary.name;
                    Err(self.incomplete(format!("the primary is {name}; (all, synchronous) standbys: {other:?}")))
                }
            }
        })
        .await
    }

    /// Returns the index of the node `name` in `nodes`.
    pub(crate) fn position(&self, name: &str) -> usize {
        self.nodes.iter().position(|node| node.name == name).unwrap()
    }

    /// Returns the name of the synchronous standby.
    pub(crate) async fn synchronous_standby(&self) -> String {
        const NAME: &str = "select application_name from pg_stat_replication where sync_state = 'sync'";
        let primary = self.primary().await.unwrap();
        let mut connection = PgConnection::connect(&primary.server.url("postgres")).await.unwrap();
        sqlx::query_scalar(NAME).fetch_one(&mut connection).await.unwrap()
    }

    /// Performs a planned switchover from the primary to a standby. Returns once Patroni has confirmed the switchover.
    pub(crate) async fn switch_over(&self, from: &Node) {
        let request = self.client.post(from.rest_url("switchover")).json(&json!({ "leader": from.name }));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{:?}", answer.text().await);
    }

    /// Restarts a killed node.
    pub(crate) fn restart(&mut self, node: usize) {
        self.nodes[node].restart(&self.folder);
    }

    /// Returns the number of sessions that the programs have on standbys.
    pub(crate) async fn sessions_on_standbys(&self) -> usize {
        const SESSIONS: &str = "
            select count(*) from pg_stat_activity where usename like 'magic_link_%' and pg_is_in_recovery()";
        let mut sessions = 0;
        for node in &self.nodes {
            let mut connection = PgConnection::connect(&node.server.url("postgres")).await.unwrap();
            let here: i64 = sqlx::query_scalar(SESSIONS).fetch_one(&mut connection).await.unwrap();
            sessions += usize::try_from(here).unwrap();
        }
        sessions
    }

    fn incomplete(&self, seen: String) -> Incomplete<'_> {
        Incomplete { seen, nodes: &self.nodes }
    }
}

/// The state of an incomplete cluster and the nodes' last log lines, for the output of a failing test.
struct Incomplete<'a> {
    seen: String,
    nodes: &'a [Node],
}

impl Debug for Incomplete<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.seen, self.nodes.iter().map(Node::last_lines).collect::<String>())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.nodes.iter().for_each(Node::kill);
        self.etcd.signal(Signal::SIGKILL);
    }
}

async fn standbys(primary: &Node) -> Result<(i64, i64), sqlx::Error> {
    let mut connection = PgConnection::connect(&primary.server.url("postgres")).await?;
    sqlx::query_as(STANDBYS).fetch_one(&mut connection).await
}
