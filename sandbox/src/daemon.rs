//! Runs third-party server programs (PgBouncer, Patroni, HAProxy, …) as child processes. Like Postgres, most of them
//! refuse to run as root. If the current user is root, they all run as another user.

use crate::{postgres::RunAs, process::Process};
use nix::sys::signal::Signal;
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Finds a program in `PATH`, `/usr/sbin` or `/usr/local/sbin`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A temporary folder for the settings, data and logs of daemons. It belongs to the user that the daemons run as, and
/// is removed on drop.
#[derive(Debug)]
pub struct DaemonFolder {
    folder: tempfile::TempDir,
    run_as: RunAs,
}

impl DaemonFolder {
    /// Creates a folder whose name contains `name`.
    ///
    /// # Errors
    /// The current user is root and there is no other user to run daemons as, or the folder cannot be created.
    pub fn create(name: &str) -> io::Result<DaemonFolder> {
        let nobody =
            || io::Error::other("daemons must not run as root, and there is no user named \"postgres\" or \"nobody\"");
        let run_as = RunAs::choose().ok_or_else(nobody)?;
        let prefix = format!("magic-link-{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(run_as.temp_folder())?;
        run_as.own(folder.path())?;
        Ok(DaemonFolder { folder, run_as })
    }

    /// The path of a file in this folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only the daemons' user can read, because it may contain passwords.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let file = self.file(name);
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600).open(&file)?.write_all(text.as_bytes())?;
        self.run_as.own(&file)?;
        Ok(file)
    }

    /// Starts a program in this folder with an empty environment, apart from `PATH`. Appends the program's output to
    /// the log file named `log`. The program receives `orphan_signal` if this process dies.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn<Arg: AsRef<OsStr>>(
        &self,
        program: &Path,
        args: &[Arg],
        log: &str,
        orphan_signal: Signal,
    ) -> io::Result<Daemon> {
        let log = self.file(log);
        let output = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(program);
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // Ctrl-C at the terminal must reach only the test, which then stops its daemons.
            .process_group(0);
        self.run_as.apply(&mut command);
        Ok(Daemon { process: Process::spawn(command, orphan_signal)?, log })
    }
}

/// A started daemon. Dropping this value kills the daemon, but not the daemon's child processes.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    log: PathBuf,
}

impl Daemon {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Whether the daemon has exited.
    pub fn has_ended(&self) -> bool {
        self.process.exit_status().is_some()
    }

    /// Sends a signal, unless the daemon has exited.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for the daemon to exit. Returns false if it is still running after `timeout`. Blocks the thread.
    pub fn wait_blocking(&self, timeout: Duration) -> bool {
        self.process.wait_blocking(timeout)
    }

    /// The contents of the daemon's log file.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Polls `is_met` until it returns true.
    ///
    /// # Errors
    /// The contents of the log, if the daemon exits before `is_met` returns true, or if `timeout` passes.
    pub async fn until(&self, timeout: Duration, mut is_met: impl AsyncFnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + timeout;
        while !is_met().await {
            if self.has_ended() || Instant::now() > deadline {
                return Err(self.log());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.signal(Signal::SIGKILL);
    }
}
