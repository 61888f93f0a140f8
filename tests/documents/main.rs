//! Checks that the documents match the source: links, headings, names of tests, alerts, error codes, commands and
//! metrics. Also checks that `.ci/run` and `just check` agree. These tests need neither the programs nor Postgres.
#![allow(clippy::unwrap_used, reason = "a test panics if it cannot continue")]

mod check_steps;
mod codes;
mod headings;
mod image;
mod links;
mod operators;
mod runbook;
mod source_codes;
mod test_names;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Folders with build results or installed packages.
const NOT_OURS: [&str; 2] = ["target", "node_modules"];

/// The workspace's root folder.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All files with this extension in this folder and its subfolders, except hidden files and the files in hidden folders
/// or in [`NOT_OURS`].
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || NOT_OURS.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// The lines of a Markdown document that are not in a fenced code block.
fn prose(document: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    document.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}
