//! The single etcd server that stores the cluster's state.

use std::{net::Ipv4Addr, time::Duration};

use nix::sys::signal::Signal;
use sandbox::{Daemon, DaemonFolder, find_program, free_port};
use tokio::net::TcpStream;

const TIMEOUT: Duration = Duration::from_secs(20);

/// Starts etcd. Returns the daemon and its client port.
pub(super) async fn start(folder: &DaemonFolder) -> (Daemon, u16) {
    let program = find_program("etcd").expect("etcd is not installed: run `just ha-test`");
    let (clients, peers) = (free_port().unwrap(), free_port().unwrap());
    let url = |port| format!("http://127.0.0.1:{port}");
    let args = [
        format!("--data-dir={}", folder.file("etcd").display()),
        format!("--listen-client-urls={}", url(clients)),
        format!("--advertise-client-urls={}", url(clients)),
        format!("--listen-peer-urls={}", url(peers)),
        format!("--initial-advertise-peer-urls={}", url(peers)),
        format!("--initial-cluster=default={}", url(peers)),
        "--log-outputs=stderr".to_owned(),
        // Patroni 3.0.2 (Debian 12) must not use etcd's v3 API. With v3, a primary that was frozen for longer than the
        // TTL may overwrite the leader key without checking which node holds the key now. The new primary's commits are
        // then lost.
        "--enable-v2=true".to_owned(),
    ];
    let etcd = folder.spawn(&program, &args, "etcd.log", Signal::SIGKILL).unwrap();
    let listens = async || TcpStream::connect((Ipv4Addr::LOCALHOST, clients)).await.is_ok();
    etcd.until(TIMEOUT, listens).await.unwrap_or_else(|log| panic!("etcd did not start:\n{log}"));
    (etcd, clients)
}
