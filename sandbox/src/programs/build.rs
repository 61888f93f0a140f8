//! Builds the programs with `cargo build` at the workspace root. This selects the same features as
//! `cargo test --workspace`, so that nothing is compiled twice.

use super::ProgramError;
use crate::process::Process;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::{
    collections::HashMap,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Returns the path of each program by name. cargo's messages go to stderr: all messages if `visibly` is true,
/// otherwise only errors.
pub(super) async fn build(visibly: bool) -> Result<HashMap<String, PathBuf>, ProgramError> {
    let (mut output, writer) = io::pipe().map_err(ProgramError::Cargo)?;
    let command = cargo(visibly, writer.into());
    let cargo = Process::spawn(command, Signal::SIGTERM).map_err(ProgramError::Cargo)?;
    let read = tokio::task::spawn_blocking(move || {
        let mut messages = String::new();
        output.read_to_string(&mut messages).map(|_| messages)
    });
    let messages = read.await.map_err(io::Error::other).flatten();
    let messages = messages.map_err(ProgramError::Cargo)?;
    if !cargo.wait().await.success() {
        return Err(ProgramError::Build);
    }
    Ok(messages.lines().filter_map(executable).collect())
}

fn cargo(visibly: bool, output: Stdio) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .args(["build", "--bins", "--message-format=json-render-diagnostics"])
        .current_dir(workspace_root())
        .stdin(Stdio::null())
        .stdout(output);
    // Remove the variables that an outer `cargo run` or `cargo test` sets for its package. Otherwise build scripts that
    // read these variables run again, and everything that depends on them is compiled again.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !visibly {
        command.arg("--quiet");
    }
    command
}

/// The workspace that this crate was compiled in.
pub(crate) fn workspace_root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// The name and the path of the program in a `compiler-artifact` message.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), path.into()))
}
