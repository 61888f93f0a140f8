//! The exit codes, which scripts can rely on.

use sandbox::Programs;
use tests::{Plan, TestSystem};

use super::{look, run};

#[tokio::test]
async fn each_exit_code_has_one_meaning() {
    let system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let unknown = "01994b7e-3c1f-7a52-9d6e-0a1b2c3d4e5f";
    for (arguments, words) in [
        (["show", "nobody@example.com"], "there is no job for nobody@example.com"),
        (["show", unknown], unknown),
        (["show", "no-such-request"], "no-such-request"),
    ] {
        let shown = look(&system, &arguments).await;
        assert!(shown.code == Some(3) && shown.errors.contains(words) && shown.out.is_empty(), "{shown:?}");
        assert_eq!(shown.errors.lines().count(), 1, "{shown:?}");
    }
    for arguments in [
        &["show"][..],
        &["show", "ann@"],
        &["show", "two words"],
        &["list", "--state", "lost"],
        &["list", "--limit", "0"],
        &["list", "--since", "yesterday"],
        &["list", "--before", "x"],
        &["list", "--code", "A-B"],
        &["retry"],
    ] {
        let shown = look(&system, arguments).await;
        assert!(shown.code == Some(2) && !shown.errors.is_empty() && shown.out.is_empty(), "{shown:?}");
    }
    // An empty list is not an error.
    let empty = look(&system, &["list"]).await;
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), "No job matches.\n"));
    assert_eq!(look(&system, &["list", "--json"]).await.out, "");

    for command in [&["list"][..], &["show", "ann@example.com"], &["tail"]] {
        let shown = run("postgres://nobody:sesame@127.0.0.1:1/nothing", command).await;
        assert!(shown.code == Some(1) && shown.out.is_empty() && !shown.errors.contains("sesame"), "{shown:?}");
        let shown = run("", command).await;
        assert!(shown.code == Some(2) && shown.errors.contains("DATABASE_URL"), "{shown:?}");
    }
    system.finish().await;
}

#[tokio::test]
async fn the_help_lists_the_exit_codes() {
    let worker = &Programs::build().await.unwrap().worker;
    let output = tokio::process::Command::new(worker).args(["jobs", "--help"]).output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "Exit codes: 0 success",
        "1 database error",
        "2 wrong argument or setting",
        "3 no such job",
        "4 at least one job",
    ] {
        assert!(help.contains(words), "{words}: {help}");
    }
}
