//! Reads `.env` into the environment. Both programs call it first, before they parse their arguments and before they
//! start a second thread. When to report an error is left to them.

use std::{io, path::Path};

/// Why `.env` could not be read. The text never shows a line of the file, since lines may hold passwords.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// The file exists, but cannot be read.
    #[error(".env: cannot be read: {0}")]
    Unreadable(io::Error),
    /// A line is neither `NAME=value`, nor a comment, nor blank. The lines before it have been read.
    #[error(".env: has a line that is not NAME=value (example: LOG_FORMAT=json)")]
    BadLine,
}

/// Reads `.env` in the current directory, if there is one. Parent directories are not searched, and a variable that
/// is set in the environment keeps its value.
///
/// # Errors
/// [`DotenvError`] if the file exists and cannot be read to its end.
pub fn load_dotenv() -> Result<(), DotenvError> {
    load(Path::new(".env"))
}

fn load(path: &Path) -> Result<(), DotenvError> {
    match dotenvy::from_path(path) {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(DotenvError::Unreadable(error)),
        // The other errors are about a line, and their own texts show it.
        Err(_) => Err(DotenvError::BadLine),
    }
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use super::*;

    fn load_text(text: impl AsRef<[u8]>) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, text).unwrap();
        load(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn a_missing_file_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(&folder.path().join(".env")).is_ok());
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let before = env::var("PATH").unwrap();
        assert_eq!(load_text("# a comment\n\nPATH=/nowhere\nPROGRAM_TEST_DOTENV='a b'\n"), Ok(()));
        assert_eq!(env::var("PATH"), Ok(before));
        assert_eq!(env::var("PROGRAM_TEST_DOTENV").as_deref(), Ok("a b"));
    }

    #[test]
    fn an_error_shows_nothing_of_the_file() {
        for text in ["KEY='sesame\n", "sesame\n", "KEY=open sesame\n", "KEY sesame=1\n"] {
            let error = load_text(text).unwrap_err();
            assert_eq!(error, ".env: has a line that is not NAME=value (example: LOG_FORMAT=json)", "{text}");
        }
        let error = load_text(b"KEY=sesame\xff\n").unwrap_err();
        assert!(error.starts_with(".env: cannot be read: ") && !error.contains("sesame"), "{error}");
    }
}
