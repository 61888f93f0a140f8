//! Reads `.env` into the environment. Both programs do this first, before they parse their arguments and before they
//! start a second thread. Each program decides when it reports an error.
//!
//! The syntax is that of the `dotenvy` crate, except that `$` has no special meaning, because a password may contain a
//! `$`.

mod line;
mod parse;

use std::{env, fs, io, path::Path};

use crate::io_problem::io_problem;

pub use self::{
    line::BadLine,
    parse::{Assignment, parse},
};

/// Why `.env` could not be read. The message never contains any part of the file, because the file contains passwords.
#[derive(Debug, thiserror::Error)]
pub enum DotenvError {
    /// The file exists, but cannot be read.
    #[error(".env: cannot be read: {}", io_problem(.0))]
    Unreadable(io::Error),
    /// A line is invalid.
    #[error(".env: line {line}: {problem}")]
    BadLine {
        /// Number of the line, counted from 1. For a value with several lines, the number of its first line.
        line: usize,
        /// The problem with the line.
        problem: BadLine,
    },
}

/// Reads `.env` in the current directory, if there is one. Parent directories are not searched, and a variable that is
/// set in the environment keeps its value. If the file sets a variable twice, the first value is used.
///
/// # Errors
/// [`DotenvError::Unreadable`], or one [`DotenvError::BadLine`] for each bad line. If there is an error, no variable is
/// set.
pub fn load_dotenv() -> Result<(), Vec<DotenvError>> {
    load(Path::new(".env"))
}

fn load(path: &Path) -> Result<(), Vec<DotenvError>> {
    let file = match fs::read(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(vec![DotenvError::Unreadable(error)]),
    };
    for Assignment { name, value } in parse(&file)? {
        if env::var_os(&name).is_none() {
            set(&name, &value);
        }
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the standard library has no other way to set a variable")]
fn set(name: &str, value: &str) {
    // SAFETY: `load_dotenv` runs before the program starts a second thread, so no other thread reads the environment.
    unsafe { env::set_var(name, value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load_text(text: impl AsRef<[u8]>) -> Result<(), Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".env");
        fs::write(&path, text).unwrap();
        load(&path).map_err(|errors| errors.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_missing_file_is_ignored_and_an_unreadable_one_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(&folder.path().join(".env")).is_ok());
        let errors = load(folder.path()).unwrap_err();
        assert!(errors[0].to_string().starts_with(".env: cannot be read: "), "{errors:?}");
    }

    #[test]
    fn the_environment_overrides_the_file_and_the_first_line_overrides_later_ones() {
        let before = env::var("PATH").unwrap();
        let text = "# a comment\n\nPATH=/nowhere\nPROGRAM_TEST_DOTENV='a b'\nPROGRAM_TEST_DOTENV=c\n";
        assert_eq!(load_text(text), Ok(()));
        assert_eq!(env::var("PATH"), Ok(before));
        assert_eq!(env::var("PROGRAM_TEST_DOTENV").as_deref(), Ok("a b"));
    }

    #[test]
    fn every_bad_line_is_reported_with_its_number_and_nothing_is_set() {
        let text = "PROGRAM_TEST_BAD=1\nopen sesame\nMAIL_FROM=Portal <sesame@example.com>\n\nKEY='sesame\n";
        let errors = load_text(text).unwrap_err();
        let numbers: Vec<&str> = errors.iter().filter_map(|error| error.split(": ").nth(1)).collect();
        assert_eq!(numbers, ["line 2", "line 3", "line 5"], "{errors:?}");
        assert!(errors[1].contains("quote the value") && !errors.concat().contains("sesame"), "{errors:?}");
        assert_eq!(env::var_os("PROGRAM_TEST_BAD"), None);
    }
}
