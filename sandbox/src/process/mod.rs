//! Child processes that do not outlive this program. On Linux, this holds even if this program is killed. One thread,
//! which never ends, starts all child processes. Each child has a separate thread that reaps it. Postgres and the
//! programs under test are such child processes.

mod orphan;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus},
    sync::{OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// A child process, running or exited.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command`. On Linux, the child gets `orphan_signal` when this program dies.
    pub(crate) fn spawn(mut command: Command, orphan_signal: Signal) -> io::Result<Process> {
        orphan::die_with_parent(&mut command, orphan_signal);
        let mut child = spawn_from_lasting_thread(command)?;
        let pid = child.id();
        let (tell, exit) = watch::channel(None);
        thread::Builder::new().name(format!("reap-{pid}")).spawn(move || {
            let status = child.wait().unwrap_or(ExitStatus::from_raw(0));
            tell.send_replace(Some(status));
        })?;
        Ok(Process { pid, exit })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The exit status, if the process has exited.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Sends a signal, unless the process has exited.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exit_status().is_none()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            // Ignore errors: `ESRCH` means that the process has just exited.
            kill(Pid::from_raw(pid), signal).ok();
        }
    }

    /// Waits for the process to exit.
    pub(crate) async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or(ExitStatus::from_raw(0)),
            Err(_) => ExitStatus::from_raw(0),
        }
    }

    /// Waits for the process to exit, without an async runtime, so that `Drop` can call this method. Returns false if
    /// the process is still running after `timeout`.
    pub(crate) fn wait_blocking(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        while self.exit_status().is_none() {
            if Instant::now() > deadline {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }
}

type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The kernel sends the PR_SET_PDEATHSIG signal when the *thread* that forked the child ends. If the thread of a test
/// or of a runtime forked the child, the child would die with that thread. Therefore one thread that never ends forks
/// all children.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                answer.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (answer, result) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes has ended");
    spawner.send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}
