//! A PgBouncer in front of a Postgres server, for tests of what the programs do behind a connection pooler. It must be
//! installed; unlike Postgres, it is not downloaded.

use crate::{Postgres, ports::free_port, postgres::RunAs, process::Process, roles::Role};
use nix::sys::signal::Signal;
use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, TcpStream},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// A start that takes longer than this has gone wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no PgBouncer.
#[derive(Debug, thiserror::Error)]
pub enum PgBouncerError {
    /// The program is neither in `PATH` nor where Debian puts it.
    #[error("pgbouncer is not installed (Debian's package has that name)")]
    Missing,
    /// Root has nobody to run it as.
    #[error("PgBouncer refuses to run as root, and there is neither a user postgres nor nobody")]
    NoOtherUser,
    /// A file could not be written, or the program not be started.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It ended, or did not listen in time.
    #[error("pgbouncer failed; its log:\n{0}")]
    Failed(String),
}

/// A running PgBouncer. Dropping it kills it.
#[derive(Debug)]
pub struct PgBouncer {
    process: Process,
    folder: tempfile::TempDir,
    run_as: RunAs,
    port: u16,
    server_port: u16,
}

impl PgBouncer {
    /// Starts it in front of a server, with these settings of its section `[pgbouncer]`, such as `pool_mode`. All roles of
    /// the sandbox can connect through it.
    ///
    /// # Errors
    /// [`PgBouncerError`].
    pub async fn start(server: &Postgres, settings: &[(&str, &str)]) -> Result<PgBouncer, PgBouncerError> {
        let program = find_program().ok_or(PgBouncerError::Missing)?;
        let run_as = RunAs::choose().map_err(|_| PgBouncerError::NoOtherUser)?;
        let folder = tempfile::Builder::new().prefix("magic-link-pgbouncer-").tempdir_in(run_as.temp_folder())?;
        run_as.own(folder.path())?;
        let (port, server_port) = (free_port()?, server.port());
        let names = Role::ALL.map(Role::name);
        let users = names.iter().chain(&["postgres"]).map(|name| format!("\"{name}\" \"{}\"\n", server.password()));
        write(&folder.path().join("users"), &users.collect::<String>(), run_as)?;
        write_settings(folder.path(), port, server_port, settings, run_as)?;
        let process = spawn(&program, folder.path(), run_as)?;
        let pooler = PgBouncer { process, folder, run_as, port, server_port };
        pooler.until_it_listens().await?;
        Ok(pooler)
    }

    /// Replaces the settings that [`start`](PgBouncer::start) was given, while it runs. Clients stay connected.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn reconfigure(&self, settings: &[(&str, &str)]) -> io::Result<()> {
        write_settings(self.folder.path(), self.port, self.server_port, settings, self.run_as)?;
        self.process.signal(Signal::SIGHUP);
        Ok(())
    }

    /// Changes a URL of the server so that it leads through this pooler.
    pub fn url(&self, server_url: &str) -> String {
        server_url.replace(&format!("127.0.0.1:{}/", self.server_port), &format!("127.0.0.1:{}/", self.port))
    }

    async fn until_it_listens(&self) -> Result<(), PgBouncerError> {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            if self.process.exit_status().is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                return Err(PgBouncerError::Failed(log));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGKILL);
    }
}

/// In `PATH`, or where Debian puts programs that are usually started by root.
fn find_program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("pgbouncer")).find(|program| program.is_file())
}

fn spawn(program: &Path, folder: &Path, run_as: RunAs) -> io::Result<Process> {
    let log = File::create(folder.join("log"))?;
    let mut command = Command::new(program);
    command
        .arg(folder.join("pgbouncer.ini"))
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C at the terminal is for the test, which then kills it.
        .process_group(0);
    run_as.apply(&mut command);
    Process::spawn(command, Signal::SIGKILL)
}

fn write_settings(
    folder: &Path,
    port: u16,
    server_port: u16,
    settings: &[(&str, &str)],
    run_as: RunAs,
) -> io::Result<()> {
    let users = folder.join("users");
    let mut text = format!(
        "[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\nmax_client_conn = 200\n\
         ignore_startup_parameters = extra_float_digits\n",
        users.display()
    );
    for (name, value) in settings {
        text += &format!("{name} = {value}\n");
    }
    write(&folder.join("pgbouncer.ini"), &text, run_as)
}

/// Only the user that PgBouncer runs as may read a file: one has passwords.
fn write(file: &Path, text: &str, run_as: RunAs) -> io::Result<()> {
    use io::Write as _;
    File::options().write(true).create(true).truncate(true).mode(0o600).open(file)?.write_all(text.as_bytes())?;
    run_as.own(file)
}
