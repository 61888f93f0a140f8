//! `.dockerignore` lists every crate. An image is built only from the files listed there, and Cargo needs the manifest
//! of every crate.

use std::fs;

use super::workspace;

#[test]
fn the_dockerignore_file_lists_every_crate() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let listed = fs::read_to_string(workspace().join(".dockerignore")).unwrap();
    let members: Vec<&str> = members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.len() > 5, "{members:?}");
    for member in members {
        assert!(listed.lines().any(|line| line == format!("!{member}")), "{member} is missing from .dockerignore");
    }
}
