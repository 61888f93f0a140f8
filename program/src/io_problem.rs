//! Describes an operating system error for the person who runs the program.

use std::io::{Error, ErrorKind};

/// Returns what went wrong, worded as the end of a sentence, as in "cannot be read: there is no such file".
#[must_use]
pub fn io_problem(error: &Error) -> String {
    let words = match error.kind() {
        ErrorKind::NotFound => "there is no such file",
        ErrorKind::PermissionDenied => "permission denied",
        ErrorKind::IsADirectory => "it is a directory",
        ErrorKind::NotADirectory => "part of the path is not a directory",
        ErrorKind::AddrInUse => "another program is already listening there",
        ErrorKind::AddrNotAvailable => "this machine has no such address",
        ErrorKind::BrokenPipe => "the output was closed",
        ErrorKind::StorageFull => "the disk is full",
        _ => return without_number(&error.to_string()),
    };
    words.to_owned()
}

/// Returns the system's message without the number that the standard library adds, and with a lower-case first letter.
fn without_number(text: &str) -> String {
    let words = text.rsplit_once(" (os error ").map_or(text, |(words, _)| words);
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_no_error_number() {
        for (number, words) in [(2, "there is no such file"), (13, "permission denied"), (24, "too many open files")] {
            assert_eq!(io_problem(&Error::from_raw_os_error(number)), words);
        }
        assert_eq!(io_problem(&Error::other("Odd")), "odd");
    }
}
