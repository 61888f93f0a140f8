//! A child process that outlives no test and no runtime: started from a thread that lives as long as
//! this program, reaped by a thread of its own, dead when this program is dead.
//! Used for Postgres and for the programs under test.

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

/// A running child, or one that has ended.
#[derive(Debug)]
pub(crate) struct Process {
    pid: u32,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command`; the child gets `orphan_signal` when this program dies.
    pub(crate) fn spawn(mut command: Command, orphan_signal: Signal) -> io::Result<Process> {
        orphan::dies_with_its_parent(&mut command, orphan_signal);
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

    /// How it ended, if it did.
    pub(crate) fn exit_status(&self) -> Option<ExitStatus> {
        *self.exit.borrow()
    }

    /// Sends a signal; a process that has ended gets none.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exit_status().is_none()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            // ESRCH: it ended in this moment.
            kill(Pid::from_raw(pid), signal).ok();
        }
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self) -> ExitStatus {
        let mut exit = self.exit.clone();
        match exit.wait_for(Option::is_some).await {
            Ok(status) => status.unwrap_or(ExitStatus::from_raw(0)),
            Err(_) => ExitStatus::from_raw(0),
        }
    }

    /// Waits for its end without a runtime, for `Drop`; false when `patience` ran out.
    pub(crate) fn wait_blocking(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
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

/// PR_SET_PDEATHSIG fires when the *thread* that forked ends: a test's thread, or one of a runtime,
/// would take the child along. So one thread that never ends forks them all.
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
    let gone = || io::Error::other("the thread that starts processes is gone");
    spawner.send((command, answer)).map_err(|_| gone())?;
    result.recv().map_err(|_| gone())?
}
