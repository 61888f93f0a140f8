//! Finds the Postgres server programs that are installed on this machine.

use super::Announce;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The oldest major version that the migrations support: their views need security_invoker.
pub const OLDEST_POSTGRES: u32 = 15;

/// A folder with `initdb` and `postgres`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerPrograms {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

impl ServerPrograms {
    /// Returns the first installed server that is new enough. If servers are installed but all are too old, announces
    /// the version and the folder of the first one.
    pub(super) fn installed(announce: &Announce) -> Option<ServerPrograms> {
        let found: Vec<_> = candidates().iter().filter_map(|folder| ServerPrograms::in_folder(folder).ok()).collect();
        let new_enough = found.iter().find(|programs| programs.major >= OLDEST_POSTGRES);
        if let (None, Some(old)) = (new_enough, found.first()) {
            let folder = old.folder.display();
            announce(&format!("Postgres {} in {folder} is too old: {OLDEST_POSTGRES} or newer is needed", old.major));
        }
        new_enough.cloned()
    }

    /// The programs in `folder`, if both exist and `postgres` reports its version.
    pub(super) fn in_folder(folder: &Path) -> io::Result<ServerPrograms> {
        // On some systems, the folders in PATH contain only symlinks to individual programs. The files that a program
        // needs are next to the symlink's target.
        let postgres = folder.join("postgres").canonicalize()?;
        let folder = postgres.parent().unwrap_or(folder).to_owned();
        folder.join("initdb").metadata()?;
        let output = Command::new(&postgres).arg("--version").output()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))
            .ok_or_else(|| io::Error::other("`postgres --version` printed no version"))?;
        Ok(ServerPrograms { folder, major })
    }

    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// The folders to search, in this order: the folders with a version number in their path (newest version first), the
/// folder that `pg_config` reports, the folders in PATH, and the default folder of a server built from source.
fn candidates() -> Vec<PathBuf> {
    let mut folders = versioned_folders();
    folders.extend(from_pg_config());
    folders.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    folders.push("/usr/local/pgsql/bin".into());
    folders
}

/// The folders with a version number in their path, as on Debian, Red Hat, and Homebrew (ARM and Intel).
fn versioned_folders() -> Vec<PathBuf> {
    let places = [
        ("/usr/lib/postgresql", ""),
        ("/usr", "pgsql-"),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
    ];
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (place, prefix) in places {
        for entry in fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(prefix));
            if let Some(version) = version.and_then(|version| version.parse().ok()) {
                found.push((version, entry.path().join("bin")));
            }
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    (!folder.trim().is_empty()).then(|| folder.trim().into())
}

/// Reads the major version, such as 15 from `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
fn major_version(output: &str) -> Option<u32> {
    let version = output.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::major_version;

    #[test]
    fn the_major_version_is_read_from_the_output_of_postgres() {
        for (output, major) in [
            ("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 16.4\n", Some(16)),
            ("postgres (PostgreSQL) 18beta1\n", Some(18)),
            ("something else", None),
        ] {
            assert_eq!(major_version(output), major, "{output}");
        }
    }
}
