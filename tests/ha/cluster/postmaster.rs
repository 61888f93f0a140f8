//! The processes of a Postgres server that Patroni started. They are not children of the Patroni process, so they must
//! be found and signalled separately.

use std::{fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A running server.
pub(super) struct Postmaster {
    pid: i32,
}

impl Postmaster {
    /// Finds the server that runs on the data folder `data`.
    pub(super) fn of(data: &Path) -> Option<Self> {
        let pid = fs::read_to_string(data.join("postmaster.pid")).ok()?.lines().next()?.trim().parse().ok()?;
        // A killed server leaves `postmaster.pid` behind, and another process may have reused the server's pid.
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let is_it = String::from_utf8_lossy(&arguments).split('\0').any(|argument| Path::new(argument) == data);
        is_it.then_some(Self { pid })
    }

    /// Sends a signal to the postmaster and to all of its child processes. The postmaster gets the signal first, so
    /// that it starts no more processes.
    pub(super) fn signal_all(&self, signal: Signal) {
        let children = self.children();
        send(self.pid, signal);
        children.into_iter().chain(self.children()).for_each(|child| send(child, signal));
    }

    fn children(&self) -> Vec<i32> {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
        pids.filter(|pid| parent_of(*pid) == Some(self.pid)).collect()
    }
}

/// Returns the pid of the parent process. In `/proc/PID/stat`, it is the second field after the program's name. The
/// name is in parentheses and may contain spaces (see proc(5)).
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn send(pid: i32, signal: Signal) {
    // An error means that the process has ended.
    let _ = kill(Pid::from_raw(pid), signal);
}
