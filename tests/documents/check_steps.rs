//! `.ci/run` and `just check` run the same steps in the same order.

use std::fs;

use super::workspace;

#[test]
fn the_ci_script_and_just_check_run_the_same_steps() {
    let script = fs::read_to_string(workspace().join(".ci/run")).unwrap();
    let of_script: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix("just ")).collect();
    let recipes = fs::read_to_string(workspace().join("justfile")).unwrap();
    let of_check: Vec<&str> =
        recipes.lines().find_map(|line| line.strip_prefix("check: ")).unwrap().split(' ').collect();
    assert_eq!(of_script, of_check);
    assert!(of_check.len() > 8, "{of_check:?}");
}
