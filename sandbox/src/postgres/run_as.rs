//! The user that servers run as. Postgres refuses to run as root. If the current user is root, servers run as another
//! user.

use nix::unistd::{Gid, Uid, User, chown};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

/// The user that runs a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RunAs {
    /// The current user.
    Ourselves,
    /// Another user, because the current one is root.
    Other { uid: Uid, gid: Gid },
}

impl RunAs {
    pub(crate) fn other_user_needed() -> bool {
        Uid::effective().is_root()
    }

    /// Chooses the current user. As root, chooses `postgres` or, if there is no such user, `nobody`. Returns
    /// `None` if neither exists.
    pub(crate) fn choose() -> Option<RunAs> {
        if !RunAs::other_user_needed() {
            return Some(RunAs::Ourselves);
        }
        ["postgres", "nobody"]
            .iter()
            .find_map(|name| User::from_name(name).ok().flatten())
            .map(|user| RunAs::Other { uid: user.uid, gid: user.gid })
    }

    /// Makes `command` run as this user.
    pub(crate) fn apply(self, command: &mut Command) {
        if let RunAs::Other { uid, gid } = self {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    /// Makes this user the owner of a file or folder.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        match self {
            RunAs::Ourselves => Ok(()),
            RunAs::Other { uid, gid } => Ok(chown(path, Some(uid), Some(gid))?),
        }
    }

    /// The folder in which to create temporary folders. This user can access it.
    pub(crate) fn temp_folder(self) -> PathBuf {
        let ours = std::env::temp_dir();
        match self {
            RunAs::Other { .. } if !open_to_others(&ours) => "/tmp".into(),
            _ => ours,
        }
    }
}

fn open_to_others(folder: &Path) -> bool {
    folder.ancestors().all(|part| fs::metadata(part).is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0))
}
