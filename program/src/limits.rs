//! Limits that a program sets for its own process.

use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};

/// A limit could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LimitError {
    /// Core dumps are still possible.
    #[error("cannot turn off core dumps: {}", .0.desc())]
    CoreDumps(Errno),
    /// The hard limit on open files is unknown.
    #[error("cannot read the limit on open files: {}", .0.desc())]
    ReadOpenFiles(Errno),
    /// The limit on open files was not raised.
    #[error("cannot raise the limit on open files: {}", .0.desc())]
    RaiseOpenFiles(Errno),
}

/// Turns core dumps off. The process's memory contains links, keys, addresses and the database's password, which must
/// not be written to disk.
///
/// # Errors
/// [`LimitError::CoreDumps`].
pub fn forbid_core_dumps() -> Result<(), LimitError> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(LimitError::CoreDumps)
}

/// Raises the limit on open files to the hard limit. The usual soft limit of 1,024 would also limit the number of open
/// connections.
///
/// # Errors
/// [`LimitError::ReadOpenFiles`] or [`LimitError::RaiseOpenFiles`].
pub fn raise_open_files_limit() -> Result<(), LimitError> {
    let (_, hard_limit) = getrlimit(Resource::RLIMIT_NOFILE).map_err(LimitError::ReadOpenFiles)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard_limit, hard_limit).map_err(LimitError::RaiseOpenFiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_dumps_are_off_and_cannot_be_turned_on_again() {
        forbid_core_dumps().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
    }

    #[test]
    fn the_limit_on_open_files_is_raised_to_the_hard_limit() {
        raise_open_files_limit().unwrap();
        let (soft_limit, hard_limit) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft_limit, hard_limit);
    }
}
