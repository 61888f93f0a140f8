//! A PgBouncer in front of a Postgres server, to test the programs behind a connection pooler. PgBouncer must be
//! installed; the sandbox does not download it.

use crate::{Daemon, DaemonFolder, ServerAddress, find_program, ports::free_port, roles::Role};
use nix::sys::signal::Signal;
use std::{
    io,
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    time::Duration,
};

/// Maximum time for PgBouncer to start listening.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why PgBouncer could not be started.
#[derive(Debug, thiserror::Error)]
pub enum PgBouncerError {
    /// The program is neither in `PATH` nor where Debian installs it.
    #[error("pgbouncer is not installed; install it, for example: apt install pgbouncer")]
    Missing,
    /// No port is free, a file could not be written, or the program could not be started.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// PgBouncer exited, or did not start listening within 20 s.
    #[error("pgbouncer failed; its log:\n{0}")]
    Failed(String),
}

/// A running PgBouncer. Dropping it kills it.
#[derive(Debug)]
pub struct PgBouncer {
    daemon: Daemon,
    folder: DaemonFolder,
    port: u16,
    server_port: u16,
}

impl PgBouncer {
    /// Starts PgBouncer in front of a server. `settings`, such as `pool_mode`, go into the `[pgbouncer]` section of its
    /// configuration file. All roles of the sandbox can connect through PgBouncer.
    ///
    /// # Errors
    /// See [`PgBouncerError`].
    pub async fn start(server: &ServerAddress, settings: &[(&str, &str)]) -> Result<PgBouncer, PgBouncerError> {
        let program = find_program("pgbouncer").ok_or(PgBouncerError::Missing)?;
        let folder = DaemonFolder::create("pgbouncer")?;
        let (port, server_port) = (free_port()?, server.port());
        let names = Role::ALL.map(Role::name);
        let users = names.iter().chain(&["postgres"]).map(|name| format!("\"{name}\" \"{}\"\n", server.password()));
        folder.write("users", &users.collect::<String>())?;
        let settings = write_settings(&folder, port, server_port, settings)?;
        let daemon = folder.spawn(&program, &[settings], "log", Signal::SIGKILL)?;
        let listens = async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        daemon.until(TIMEOUT, listens).await.map_err(PgBouncerError::Failed)?;
        Ok(PgBouncer { daemon, folder, port, server_port })
    }

    /// Replaces the settings given to [`start`](PgBouncer::start) while PgBouncer runs. Clients stay connected.
    ///
    /// # Errors
    /// The settings file cannot be written.
    pub fn reconfigure(&self, settings: &[(&str, &str)]) -> io::Result<()> {
        write_settings(&self.folder, self.port, self.server_port, settings)?;
        self.daemon.signal(Signal::SIGHUP);
        Ok(())
    }

    /// PgBouncer's port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the URL of a database on the server, changed so that clients connect through PgBouncer.
    pub fn url(&self, server_url: &str) -> String {
        server_url.replace(&format!("127.0.0.1:{}/", self.server_port), &format!("127.0.0.1:{}/", self.port))
    }
}

fn write_settings(
    folder: &DaemonFolder,
    port: u16,
    server_port: u16,
    settings: &[(&str, &str)],
) -> io::Result<PathBuf> {
    let users = folder.file("users");
    let mut text = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nmax_client_conn = 200\n\
         ignore_startup_parameters = extra_float_digits\n",
        users.display()
    );
    for (name, value) in settings {
        text += &format!("{name} = {value}\n");
    }
    folder.write("pgbouncer.ini", &text)
}
