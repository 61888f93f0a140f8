//! Builds the programs, runs them as child processes with exactly the given settings, and follows their logs. The
//! programs inherit no environment, no `.env` and no terminal. They are killed when they are dropped, and when this
//! process exits.

mod build;

pub(crate) use build::workspace_root;

use crate::{
    journal::{Journal, TIMEOUT, TimedOut},
    process::Process,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{self, BufRead, BufReader, PipeReader},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};
use tokio::sync::{OnceCell, watch};

/// Why a program could not be built or started, or did not do what the caller waited for.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// cargo could not be run.
    #[error("cannot run cargo: {0}")]
    Cargo(io::Error),
    /// The build failed; cargo has printed the reason on stderr.
    #[error("cargo cannot build the programs; see its messages on stderr")]
    Build,
    /// The build succeeded, but the workspace has no such program.
    #[error("the workspace has no program {0}")]
    Missing(&'static str),
    /// The program could not be started.
    #[error("cannot start {name}: {source}")]
    Start {
        /// The program's name.
        name: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The program exited before it did what the caller waited for.
    #[error("{name} exited ({status}); its output:\n{output}")]
    Ended {
        /// The program's name.
        name: String,
        /// The program's exit status.
        status: ExitStatus,
        /// The program's whole output.
        output: String,
    },
    /// The program runs, but did not log the expected line within the time limit.
    #[error(transparent)]
    TimedOut(#[from] TimedOut),
}

/// The built programs of this workspace.
#[derive(Debug)]
pub struct Programs {
    /// The path of `magic-link-api`.
    pub api: PathBuf,
    /// The path of `magic-link-worker`.
    pub worker: PathBuf,
}

impl Programs {
    /// Builds the programs once per process, in the release profile if this crate was built in that profile.
    ///
    /// # Errors
    /// cargo cannot be run, the build fails (cargo's messages are on stderr), or the workspace has no program with an
    /// expected name.
    pub async fn build() -> Result<&'static Programs, ProgramError> {
        Programs::build_once(false).await
    }

    /// Like [`Programs::build`], with cargo's progress on stderr.
    pub(crate) async fn build_visibly() -> Result<&'static Programs, ProgramError> {
        Programs::build_once(true).await
    }

    async fn build_once(visibly: bool) -> Result<&'static Programs, ProgramError> {
        static BUILT: OnceCell<Programs> = OnceCell::const_new();
        BUILT
            .get_or_try_init(|| async {
                let built = build::build(visibly).await?;
                Ok(Programs { api: find(&built, "magic-link-api")?, worker: find(&built, "magic-link-worker")? })
            })
            .await
    }
}

fn find(built: &HashMap<String, PathBuf>, name: &'static str) -> Result<PathBuf, ProgramError> {
    built.get(name).cloned().ok_or(ProgramError::Missing(name))
}

/// A function that is called with each line of a program's output.
pub(crate) type Echo = Box<dyn Fn(&str) + Send>;

/// A started program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    name: String,
    process: Process,
    log: Journal<String>,
    output_ended: watch::Receiver<bool>,
    _empty_folder: tempfile::TempDir,
}

impl Program {
    /// Starts the program at `path` in an empty folder, with only PATH and these environment variables. `name` is used
    /// in error messages.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn spawn(
        path: &Path,
        name: &str,
        settings: &[(String, String)],
        args: &[&str],
    ) -> Result<Program, ProgramError> {
        Program::spawn_with_echo(path, name, settings, args, Box::new(|_| ()))
    }

    pub(crate) fn spawn_with_echo(
        path: &Path,
        name: &str,
        settings: &[(String, String)],
        args: &[&str],
        echo: Echo,
    ) -> Result<Program, ProgramError> {
        let start = || {
            let folder = tempfile::tempdir()?;
            let (output, writer) = io::pipe()?;
            let mut command = Command::new(path);
            command
                .args(args)
                .env_clear()
                .env("PATH", "/usr/local/bin:/usr/bin:/bin")
                .envs(settings.iter().cloned())
                .current_dir(folder.path())
                .stdin(Stdio::null())
                .stdout(writer.try_clone()?)
                .stderr(writer)
                // Ctrl-C at the terminal must reach only the sandbox, which then stops its programs.
                .process_group(0);
            let process = Process::spawn(command, Signal::SIGKILL)?;
            let log = Journal::new();
            let output_ended = follow(output, log.clone(), echo)?;
            Ok(Program { name: name.to_owned(), process, log, output_ended, _empty_folder: folder })
        };
        start().map_err(|source| ProgramError::Start { name: name.to_owned(), source })
    }

    /// The address of the program's public listener. Waits up to 20 s for the log line with the address: a line in JSON
    /// (`LOG_FORMAT=json`) with a message that begins with `listening for`, and an `address` field.
    ///
    /// # Errors
    /// The program exits first (the error contains its output), or logs no such line within 20 s.
    pub async fn address(&self) -> Result<SocketAddr, ProgramError> {
        self.until("a `listening for` line", TIMEOUT, listening).await
    }

    /// Waits for a line that contains `part`. A line that was logged before the call also counts.
    ///
    /// # Errors
    /// The program exits first, or logs no such line within `timeout`.
    pub async fn wait_for_line(&self, part: &str, timeout: Duration) -> Result<String, ProgramError> {
        let wanted = format!("a line with {part:?}");
        self.until(&wanted, timeout, |line| line.contains(part).then(|| line.to_owned())).await
    }

    /// All lines of stdout and stderr so far, in the order of arrival.
    pub fn log(&self) -> Vec<String> {
        self.log.all()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Sends SIGHUP.
    pub fn hang_up(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Sends SIGKILL.
    pub fn kill(&self) {
        self.process.signal(Signal::SIGKILL);
    }

    /// Freezes the program (SIGSTOP).
    pub fn freeze(&self) {
        self.process.signal(Signal::SIGSTOP);
    }

    /// Resumes a frozen program (SIGCONT).
    pub fn thaw(&self) {
        self.process.signal(Signal::SIGCONT);
    }

    /// Waits for the program to exit, and then at most a second for the end of its output.
    pub async fn wait(&self) -> ExitStatus {
        let status = self.process.wait().await;
        let mut ended = self.output_ended.clone();
        let last_lines = ended.wait_for(|ended| *ended);
        tokio::time::timeout(Duration::from_secs(1), last_lines).await.ok();
        status
    }

    async fn until<R>(
        &self,
        wanted: &str,
        timeout: Duration,
        found: impl Fn(&str) -> Option<R>,
    ) -> Result<R, ProgramError> {
        let wanted = format!("{wanted} in the output of {}", self.name);
        let in_log = |lines: &[String]| lines.iter().find_map(|line| found(line));
        let seen = |lines: &[String]| format!("\n{}", lines.join("\n"));
        tokio::select! {
            biased;
            line = self.log.wait_for(timeout, &wanted, seen, in_log) => Ok(line?),
            status = self.wait() => match in_log(&self.log()) {
                Some(line) => Ok(line),
                None => Err(self.ended(status)),
            },
        }
    }

    pub(crate) fn ended(&self, status: ExitStatus) -> ProgramError {
        ProgramError::Ended { name: self.name.clone(), status, output: self.log().join("\n") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads the program's output until it ends, on a thread that outlives the runtime of a single test.
fn follow(output: PipeReader, log: Journal<String>, echo: Echo) -> io::Result<watch::Receiver<bool>> {
    let (tell, ended) = watch::channel(false);
    thread::Builder::new().spawn(move || {
        let mut lines = BufReader::new(output).split(b'\n');
        while let Some(Ok(line)) = lines.next() {
            let line = String::from_utf8_lossy(&line).into_owned();
            echo(&line);
            log.add(|_| line);
        }
        tell.send_replace(true);
    })?;
    Ok(ended)
}

/// The beginning of the message that both programs log for each address that they listen on.
const LISTENING: &str = "listening for ";

fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    if !fields.get("message")?.as_str()?.starts_with(LISTENING) {
        return None;
    }
    fields.get("address")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::listening;

    #[test]
    fn the_address_is_read_only_from_the_listening_line() {
        let line = r#"{"level":"INFO","fields":{"message":"listening for requests","address":"127.0.0.1:412"}}"#;
        assert_eq!(listening(line), "127.0.0.1:412".parse().ok());
        for other in [
            "listening for requests 127.0.0.1:412",
            r#"{"fields":{"message":"ready","address":"127.0.0.1:412"}}"#,
            r#"{"fields":{"message":"listening for requests"}}"#,
        ] {
            assert_eq!(listening(other), None, "{other}");
        }
    }
}
