//! `.dockerignore` lists every crate. An image is built only from the files listed there, and Cargo needs all manifests.

use std::fs;

use super::workspace;

#[test]
fn every_crate_is_part_of_what_an_image_is_built_from() {
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    let members = manifest.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let listed = fs::read_to_string(workspace().join(".dockerignore")).unwrap();
    let members: Vec<&str> = members.split(',').map(|member| member.trim().trim_matches('"')).collect();
    assert!(members.len() > 5, "{members:?}");
    for member in members {
        assert!(listed.lines().any(|line| line == format!("!{member}")), "{member} is missing in .dockerignore");
    }
}
