//! HAProxy, which forwards connections to the primary.

use std::{net::Ipv4Addr, time::Duration};

use nix::sys::signal::Signal;
use sandbox::{Daemon, DaemonFolder, ServerAddress, eventually, find_program, free_port};
use sqlx::{Connection as _, PgConnection};
use tokio::net::TcpStream;

use crate::cluster::{Cluster, NODES};

const TIMEOUT: Duration = Duration::from_secs(20);

/// What the balancer does with sessions to a server that is no longer the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldSessions {
    /// Closes all old sessions after two failed checks (2 s).
    ShutDown,
    /// Keeps old sessions, and forwards new sessions to the old primary until nine checks have failed (9 s), like a
    /// badly configured balancer.
    Keep,
}

/// A running balancer.
pub(crate) struct Balancer {
    pub(crate) port: u16,
    daemon: Daemon,
}

impl Balancer {
    /// Starts HAProxy and waits until it accepts connections.
    pub(crate) async fn start(cluster: &Cluster, folder: &DaemonFolder, old_sessions: OldSessions) -> Self {
        let program = find_program("haproxy").expect("HAProxy is not installed: run `just ha-test`");
        let port = free_port().unwrap();
        let settings = folder.write("haproxy.cfg", &settings(cluster, port, old_sessions)).unwrap();
        let daemon = folder.spawn(&program, &["-f".as_ref(), settings.as_os_str()], "haproxy.log", Signal::SIGKILL);
        let balancer = Self { port, daemon: daemon.unwrap() };
        let listens = async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok();
        let listening = balancer.daemon.until(TIMEOUT, listens).await;
        listening.unwrap_or_else(|log| panic!("HAProxy did not start:\n{log}"));
        balancer
    }

    pub(crate) fn log(&self) -> String {
        self.daemon.log()
    }
}

/// Waits until several consecutive connections reach the primary. One such connection would prove nothing, because
/// HAProxy treats every server as up before its first check.
pub(crate) async fn until_it_leads_to_the_primary(address: &ServerAddress) {
    eventually("connections to reach the primary", async || {
        for _ in 0..2 * NODES {
            let mut connection = PgConnection::connect(&address.url("postgres")).await?;
            if sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut connection).await? {
                return Err(sqlx::Error::WorkerCrashed);
            }
        }
        Ok(())
    })
    .await;
}

/// HAProxy's settings. The health check requests `/primary`, which Patroni answers with 200 on the primary only.
fn settings(cluster: &Cluster, port: u16, old_sessions: OldSessions) -> String {
    let marked_down = match old_sessions {
        OldSessions::ShutDown => "fall 2 on-marked-down shutdown-sessions",
        OldSessions::Keep => "fall 9",
    };
    let servers = cluster.nodes.iter().map(|node| {
        format!("    server {} 127.0.0.1:{} check port {}\n", node.name, node.server.port(), node.rest_port)
    });
    let servers = servers.collect::<String>();
    format!(
        "
global
    log stderr format raw local0 notice
defaults
    mode tcp
    log global
    timeout connect 2s
    retries 0
    timeout client 30m
    timeout server 30m
listen primary
    bind 127.0.0.1:{port}
    maxconn 500
    option httpchk GET /primary
    http-check expect status 200
    default-server inter 1s rise 1 {marked_down}
{servers}"
    )
}
