//! How a program ends with an error: one line per error on stderr, and an exit code.

use std::{
    fmt::Display,
    io::{Write as _, stderr},
    process::ExitCode,
};

/// The exit code for a missing or bad setting or argument: 2, which clap also uses for wrong arguments.
const BAD_SETTINGS: u8 = 2;

/// The exit code of a command that found nothing.
const NOT_FOUND: u8 = 3;

/// The exit code of a command that could not do everything that was requested.
const NOT_DONE: u8 = 4;

/// Writes one line per error to stderr and returns exit code 2: a setting or an argument must be changed.
#[must_use]
pub fn refuse(errors: impl IntoIterator<Item: Display>) -> ExitCode {
    write_lines(errors);
    ExitCode::from(BAD_SETTINGS)
}

/// Writes one line about an error to stderr and returns exit code 1: the program failed.
#[must_use]
pub fn fail(error: impl Display) -> ExitCode {
    write_lines([error]);
    ExitCode::FAILURE
}

/// Writes one line to stderr and returns exit code 3: what the command looked for does not exist.
#[must_use]
pub fn not_found(error: impl Display) -> ExitCode {
    write_lines([error]);
    ExitCode::from(NOT_FOUND)
}

/// Writes one line to stderr and returns exit code 4: the command ran, but could not do everything that was requested.
#[must_use]
pub fn not_done(error: impl Display) -> ExitCode {
    write_lines([error]);
    ExitCode::from(NOT_DONE)
}

fn write_lines(errors: impl IntoIterator<Item: Display>) {
    let mut stderr = stderr().lock();
    for error in errors {
        // If stderr is closed, the exit code still reports the failure; `eprintln!` would panic.
        writeln!(stderr, "{error}").ok();
    }
}
