//! A server's temporary folder: data, log, and a lock file. The kernel releases the lock when the sandbox dies, so that
//! the next sandbox recognises and removes a leftover folder.

use super::{PostgresError, run_as::RunAs};
use nix::{sys::signal::kill, unistd::Pid};
use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

const PREFIX: &str = "magic-link-sandbox-";

/// A server's folder, removed on drop.
#[derive(Debug)]
pub(super) struct ServerFolder {
    folder: tempfile::TempDir,
    _lock: File,
}

impl ServerFolder {
    /// Removes the folders that dead sandboxes left behind, and creates a new folder.
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

/// Removes leftover folders, as far as possible. Skips the folders of other users and of running servers.
fn remove_left_overs(temp: &Path) {
    for entry in fs::read_dir(temp).into_iter().flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && is_left_over(&entry.path()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

fn is_left_over(folder: &Path) -> bool {
    // If the lock file cannot be read, the folder is still being created or belongs to another user.
    let Ok(lock) = File::open(folder.join("lock")) else {
        return false;
    };
    lock.try_lock().is_ok() && !server_runs(&folder.join("data"))
}

/// Whether the process in postmaster.pid is alive. If another process now has that id, the only effect is that the
/// folder is removed later.
fn server_runs(data: &Path) -> bool {
    let pid_file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let pid = pid_file.lines().next().and_then(|line| line.trim().parse().ok());
    pid.is_some_and(|pid| kill(Pid::from_raw(pid), None).is_ok())
}
