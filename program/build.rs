//! Tells the crate which commit it is built from: `MAGIC_LINK_COMMIT` of the environment, or Git's `HEAD`. Outside a Git
//! checkout, and without that variable, it is empty.

use std::{path::Path, process::Command};

/// Digits that identify a commit in a large repository.
const DIGITS: &str = "--short=12";

fn main() {
    println!("cargo::rerun-if-env-changed=MAGIC_LINK_COMMIT");
    let commit = std::env::var("MAGIC_LINK_COMMIT").ok().or_else(read_head).unwrap_or_default();
    println!("cargo::rustc-env=MAGIC_LINK_COMMIT={}", commit.trim());
}

fn read_head() -> Option<String> {
    // The log of HEAD grows with each commit and checkout.
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
