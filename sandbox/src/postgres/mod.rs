//! A Postgres server that starts in a second and stops when it is dropped. `cargo dev` and every test with a database
//! use such a server. The server listens on loopback only. Its superuser has a random password, so that other users of
//! the machine cannot read the data.

mod download;
mod folder;
mod launch;
mod programs;
mod run_as;

use crate::{process::Process, server_address::ServerAddress};
use folder::ServerFolder;
use launch::Launcher;
use nix::sys::signal::Signal;
pub use programs::OLDEST_POSTGRES;
use programs::ServerPrograms;
pub(crate) use run_as::RunAs;
use std::{
    io,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Why the server could not be started, or why an operation on the server failed.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// An operation on a file or folder failed, a program could not be started, or no free port was found.
    #[error("cannot {what} {path}: {source}")]
    Io {
        /// The operation that failed, such as `create`.
        what: &'static str,
        /// The file, folder or program.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
    /// The current user is root, and there is no other user to run the server as.
    #[error("Postgres refuses to run as root, and there is no user named \"postgres\" or \"nobody\"")]
    NoOtherUser,
    /// The download failed. A server is downloaded if no installed one is new enough, or if
    /// `SANDBOX_POSTGRES_DOWNLOAD=1` is set.
    #[error(
        "could not download a Postgres server: {0}; to use an installed server instead, install Postgres \
         {OLDEST_POSTGRES} or newer (for example: apt install postgresql) and leave SANDBOX_POSTGRES_DOWNLOAD unset"
    )]
    Download(String),
    /// A server program exited, or did not become ready.
    #[error("{program} failed; the end of its log:\n{log}")]
    Failed {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// The last lines of the program's log.
        log: String,
    },
    /// The server cannot be reached, or a statement failed.
    #[error("database: {0}")]
    Sql(#[from] sqlx::Error),
}

impl PostgresError {
    fn io(what: &'static str, path: &Path, source: io::Error) -> PostgresError {
        let path = path.to_owned();
        PostgresError::Io { what, path, source }
    }
}

/// Reports progress to the person at the terminal.
pub(crate) type Announce = dyn Fn(&str) + Send + Sync;

/// Whether commits survive a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Postgres's defaults: every commit is on disk.
    #[default]
    Stock,
    /// Nothing is flushed to disk. This is faster, but suitable only for tests, which do not need their data
    /// afterwards.
    Off,
}

/// A running server. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Postgres {
    launcher: Launcher,
    address: ServerAddress,
    process: Mutex<Arc<Process>>,
}

impl Postgres {
    /// Starts a server with default durability. Uses an installed server ([`OLDEST_POSTGRES`] or later), or a
    /// downloaded one if none is installed or `SANDBOX_POSTGRES_DOWNLOAD=1` is set.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn start() -> Result<Postgres, PostgresError> {
        Postgres::start_with(Durability::Stock).await
    }

    /// Starts a server with this durability.
    ///
    /// # Errors
    /// The same as [`Postgres::start`].
    pub async fn start_with(durability: Durability) -> Result<Postgres, PostgresError> {
        Postgres::start_announced(durability, &|_| ()).await
    }

    /// Like [`Postgres::start_with`], but announces which server is used and whether it is downloaded.
    pub(crate) async fn start_announced(
        durability: Durability,
        announce: &Announce,
    ) -> Result<Postgres, PostgresError> {
        let run_as = RunAs::choose().ok_or(PostgresError::NoOtherUser)?;
        let programs = find_programs(announce).await?;
        announce(&format!("starting Postgres {} from {}", programs.major, programs.folder.display()));
        let launcher = Launcher { programs, folder: ServerFolder::create(run_as)?, run_as, durability };
        let password = format!("{:032x}", rand::random::<u128>());
        launcher.initdb(&password).await?;
        let (port, process) = start_on_a_free_port(&launcher).await?;
        let address = ServerAddress::new(port, password);
        Ok(Postgres { launcher, address, process: Mutex::new(Arc::new(process)) })
    }

    /// The major version, such as 15.
    pub fn major_version(&self) -> u32 {
        self.launcher.programs.major
    }

    /// The server's process id.
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Stops the server as a crash would (immediate shutdown). The data is kept.
    pub async fn halt(&self) {
        let process = self.process();
        process.signal(Signal::SIGQUIT);
        process.wait().await;
    }

    /// Starts a halted server again, on the same port and data. Postgres then performs crash recovery.
    ///
    /// # Errors
    /// The server does not start.
    pub async fn resume(&self) -> Result<(), PostgresError> {
        let process = Arc::new(self.launcher.start(self.port()).await?);
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = process;
        Ok(())
    }

    /// Freezes the process that accepts connections (SIGSTOP). Open sessions continue; new connections get no response.
    pub fn freeze(&self) {
        self.process().signal(Signal::SIGSTOP);
    }

    /// Resumes a frozen server (SIGCONT).
    pub fn thaw(&self) {
        self.process().signal(Signal::SIGCONT);
    }

    /// Crashes the server and starts it again: [`halt`](Postgres::halt), then [`resume`](Postgres::resume).
    ///
    /// # Errors
    /// The server does not start again.
    pub async fn restart_hard(&self) -> Result<(), PostgresError> {
        self.halt().await;
        self.resume().await
    }

    /// Stops the server with a fast shutdown and removes its data.
    pub async fn stop(self) {
        let process = self.process();
        process.signal(Signal::SIGINT);
        let timeout = Duration::from_secs(10);
        tokio::time::timeout(timeout, process.wait()).await.ok();
    }

    fn process(&self) -> Arc<Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Deref for Postgres {
    type Target = ServerAddress;

    fn deref(&self) -> &ServerAddress {
        &self.address
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let process = self.process();
        process.signal(Signal::SIGQUIT);
        if !process.wait_blocking(Duration::from_secs(5)) {
            process.signal(Signal::SIGKILL);
        }
    }
}

async fn find_programs(announce: &Announce) -> Result<ServerPrograms, PostgresError> {
    let is_forced = std::env::var("SANDBOX_POSTGRES_DOWNLOAD").is_ok_and(|value| value == "1");
    if !is_forced && let Some(programs) = ServerPrograms::installed(announce) {
        return Ok(programs);
    }
    download::downloaded(announce).await
}

/// Starts the server on a free port. If the server does not start, tries another port, because another process may have
/// taken the first one.
async fn start_on_a_free_port(launcher: &Launcher) -> Result<(u16, Process), PostgresError> {
    let mut attempts_left = 5;
    loop {
        let port = crate::ports::free_port()
            .map_err(|e| PostgresError::io("find a free port on", Path::new("127.0.0.1"), e))?;
        attempts_left -= 1;
        match launcher.start(port).await {
            Ok(process) => return Ok((port, process)),
            Err(error) if attempts_left == 0 => return Err(error),
            Err(_) => {}
        }
    }
}
