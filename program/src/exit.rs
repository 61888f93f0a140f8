//! How a program refuses to start.

use std::{
    fmt::Display,
    io::{Write as _, stderr},
    process::ExitCode,
};

/// The exit code for a missing or bad setting or argument: 2, as clap uses for a wrong call.
const BAD_SETTINGS: u8 = 2;

/// Writes one line per error to stderr, for the person who starts the program, and returns exit code 2.
#[must_use]
pub fn refuse(errors: impl IntoIterator<Item: Display>) -> ExitCode {
    let mut stderr = stderr().lock();
    for error in errors {
        // If stderr is closed, the exit code still tells; `eprintln!` would panic.
        writeln!(stderr, "{error}").ok();
    }
    ExitCode::from(BAD_SETTINGS)
}
