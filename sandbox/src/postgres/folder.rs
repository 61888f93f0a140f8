//! One server's folder under the temporary one: data, log, and a lock that the kernel releases when
//! its sandbox dies, so that the next sandbox knows what is left over and removes it.

use super::{PostgresError, run_as::RunAs};
use nix::{sys::signal::kill, unistd::Pid};
use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const PREFIX: &str = "magic-link-sandbox-";

/// Removed when dropped.
#[derive(Debug)]
pub(super) struct ServerFolder {
    folder: tempfile::TempDir,
    _lock: File,
}

impl ServerFolder {
    /// A fresh one, after those of dead sandboxes are removed.
    pub(super) fn create(run_as: RunAs) -> Result<ServerFolder, PostgresError> {
        let temp = run_as.temp_folder();
        remove_left_overs(&temp);
        Self::in_folder(&temp, run_as).map_err(|e| PostgresError::io("write", &temp, e))
    }

    fn in_folder(temp: &Path, run_as: RunAs) -> io::Result<ServerFolder> {
        let folder =
            tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o700)).tempdir_in(temp)?;
        let lock = File::create(folder.path().join("lock"))?;
        lock.lock()?;
        run_as.own(folder.path())?;
        Ok(ServerFolder { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path().join("server.log")
    }
}

/// Best effort: what belongs to somebody else, or still runs, stays.
fn remove_left_overs(temp: &Path) {
    for entry in fs::read_dir(temp).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && is_left_over(&entry.path()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn is_left_over(folder: &Path) -> bool {
    // No lock yet: it is being made in this moment, or not ours to read.
    let Ok(lock) = File::open(folder.join("lock")) else {
        return false;
    };
    lock.try_lock().is_ok() && !server_runs(&folder.join("data"))
}

/// Whether the process named in postmaster.pid is alive (a number used anew only delays the removal).
fn server_runs(data: &Path) -> bool {
    let told = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let pid = told.lines().next().and_then(|line| line.trim().parse().ok());
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
}
