//! A cluster node: Patroni and the Postgres server that it manages.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use sandbox::{Daemon, DaemonFolder, ServerAddress, find_program, free_port};
use tokio::time::sleep;

use super::{LOOP_WAIT, RETRY_TIMEOUT, TTL, WAL_SENDER_TIMEOUT, postmaster::Postmaster};

/// The number of Patroni's last log lines that are included in the output of a failing test.
const LOG_LINES: usize = 30;

pub(crate) struct Node {
    pub(crate) name: String,
    /// The server's own address, which bypasses the balancer.
    pub(crate) server: ServerAddress,
    pub(crate) rest_port: u16,
    data: PathBuf,
    settings: PathBuf,
    patroni: Daemon,
}

impl Node {
    pub(super) fn start(folder: &DaemonFolder, number: usize, etcd_port: u16, password: &str) -> Self {
        let name = format!("node{number}");
        let (rest_port, port) = (free_port().unwrap(), free_port().unwrap());
        let data = folder.file(&name);
        let text = settings(&name, rest_port, port, etcd_port, &data, password);
        let settings = folder.write(&format!("{name}.yml"), &text).unwrap();
        let patroni = spawn(folder, &name, &settings);
        Self { name, server: ServerAddress::new(port, password), rest_port, data, settings, patroni }
    }

    /// Returns the URL of a path in Patroni's REST API.
    pub(super) fn rest_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.rest_port)
    }

    /// Kills Patroni and all processes of its server (SIGKILL), as if the machine died.
    pub(crate) fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Freezes Patroni and all processes of its server (SIGSTOP) for `time`, as if the machine hung. Connections stay
    /// open. The processes do not notice that they were frozen.
    pub(crate) async fn freeze_for(&self, time: Duration) {
        self.signal(Signal::SIGSTOP);
        sleep(time).await;
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        self.patroni.signal(signal);
        if let Some(postmaster) = Postmaster::of(&self.data) {
            postmaster.signal_all(signal);
        }
    }

    /// Starts Patroni again after a kill.
    pub(crate) fn restart(&mut self, folder: &DaemonFolder) {
        self.patroni = spawn(folder, &self.name, &self.settings);
    }

    pub(crate) fn log(&self) -> String {
        self.patroni.log()
    }

    pub(super) fn last_lines(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        format!("{}:\n{}\n", self.name, lines[lines.len().saturating_sub(LOG_LINES)..].join("\n"))
    }
}

/// Starts Patroni. If the test is killed, Patroni gets SIGTERM and stops its server.
fn spawn(folder: &DaemonFolder, name: &str, settings: &Path) -> Daemon {
    let program = find_program("patroni").expect("Patroni is not installed: run `just ha-test`");
    folder.spawn(&program, &[settings], &format!("{name}.log"), Signal::SIGTERM).unwrap()
}

/// Patroni's settings. They suit a production cluster, apart from the addresses, passwords and shorter timeouts.
fn settings(name: &str, rest_port: u16, port: u16, etcd_port: u16, data: &Path, password: &str) -> String {
    let (data, pgpass) = (data.display(), data.with_extension("pgpass"));
    let pg_rewind = find_program("pg_rewind").expect("Postgres's programs are not installed: run `just ha-test`");
    let programs = pg_rewind.canonicalize().unwrap();
    let (programs, pgpass) = (programs.parent().unwrap().display(), pgpass.display());
    format!(
        r#"
scope: outbox
name: {name}
etcd: {{host: "127.0.0.1:{etcd_port}"}}
restapi: {{listen: "127.0.0.1:{rest_port}", connect_address: "127.0.0.1:{rest_port}"}}
bootstrap:
  dcs:
    ttl: {TTL}
    loop_wait: {LOOP_WAIT}
    retry_timeout: {RETRY_TIMEOUT}
    synchronous_mode: true
    postgresql:
      use_pg_rewind: true
      parameters: {{max_connections: 200, wal_sender_timeout: {WAL_SENDER_TIMEOUT}}}
  initdb: [{{encoding: UTF8}}, {{locale: C}}, data-checksums]
  pg_hba:
    - host all all 127.0.0.1/32 scram-sha-256
    - host replication all 127.0.0.1/32 scram-sha-256
postgresql:
  listen: "127.0.0.1:{port}"
  connect_address: "127.0.0.1:{port}"
  data_dir: {data}
  bin_dir: {programs}
  pgpass: {pgpass}
  authentication:
    superuser: {{username: postgres, password: "{password}"}}
    replication: {{username: replicator, password: "{password}"}}
  parameters: {{unix_socket_directories: ""}}
"#
    )
}
