//! Sets `MAGIC_LINK_COMMIT` for the crate to the commit that it is built from: the environment variable
//! `MAGIC_LINK_COMMIT`, or else Git's `HEAD`. The value is empty if the variable is not set and there is no Git
//! checkout.

use std::{path::Path, process::Command};

/// Twelve digits identify a commit even in a large repository.
const DIGITS: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-env-changed=MAGIC_LINK_COMMIT");
    let commit = std::env::var("MAGIC_LINK_COMMIT").ok().or_else(read_head).unwrap_or_default();
    println!("cargo::rustc-env=MAGIC_LINK_COMMIT={}", commit.trim());
}

fn read_head() -> Option<String> {
    // `logs/HEAD` changes with each commit and checkout.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--path-format=absolute", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", DIGITS, "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
