//! The user that servers run as. Postgres refuses to run as root, so root runs it as another user.

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

    /// As root: `postgres` if that user exists, otherwise `nobody` if that user exists.
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

    /// Gives a file or folder to this user.
    pub(crate) fn own(self, path: &Path) -> std::io::Result<()> {
        match self {
            RunAs::Ourselves => Ok(()),
            RunAs::Other { uid, gid } => Ok(chown(path, Some(uid), Some(gid))?),
        }
    }

    /// A temporary folder that this user can enter.
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
