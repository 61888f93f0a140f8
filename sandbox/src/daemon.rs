//! Server programs of others (PgBouncer, Patroni, HAProxy, …) as processes. Like Postgres, most of them refuse to run as
//! root; so do they all here.

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

/// Finds a program in `PATH`, or where packagers put programs that root usually starts.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A temporary folder with the settings, data and logs of daemons, which belongs to the user whom they run as. Removed
/// when it is dropped.
#[derive(Debug)]
pub struct DaemonFolder {
    folder: tempfile::TempDir,
    run_as: RunAs,
}

impl DaemonFolder {
    /// Creates one whose name has this part.
    ///
    /// # Errors
    /// Root finds no other user to run daemons as, or the folder cannot be created.
    pub fn create(name: &str) -> io::Result<DaemonFolder> {
        let nobody = || io::Error::other("daemons do not run as root, and there is neither a user postgres nor nobody");
        let run_as = RunAs::choose().ok_or_else(nobody)?;
        let prefix = format!("magic-link-{name}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(run_as.temp_folder())?;
        run_as.own(folder.path())?;
        Ok(DaemonFolder { folder, run_as })
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file that only the daemons' user can read, because it may have passwords.
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

    /// Starts a program in it, with nothing of this process's environment. The program's output is added to the log file of
    /// this name. The program gets `orphan_signal` if this process dies.
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
            // Ctrl-C at the terminal is for the test, which then stops its daemons.
            .process_group(0);
        self.run_as.apply(&mut command);
        Ok(Daemon { process: Process::spawn(command, orphan_signal)?, log })
    }
}

/// A started daemon. Dropping it kills it, but not the processes that it has started.
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

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.process.exit_status().is_some()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end, and returns whether it came within `patience`. Blocks the thread.
    pub fn wait_blocking(&self, patience: Duration) -> bool {
        self.process.wait_blocking(patience)
    }

    /// All that its log file has.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Waits until a condition holds.
    ///
    /// # Errors
    /// The log, if the daemon ends or `patience` runs out before.
    pub async fn until(&self, patience: Duration, mut is_met: impl AsyncFnMut() -> bool) -> Result<(), String> {
        let deadline = Instant::now() + patience;
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
