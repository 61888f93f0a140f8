//! The private health checks show all running programs and warn about differences between the programs' settings.

use std::time::Duration;

use sandbox::eventually;
use serde_json::Value;
use tests::{Plan, TestSystem};

/// A valid key other than the keys that the tests use by default.
const OTHER_KEY: &str = "YW5vdGhlciBrZXkgZm9yIHRlc3RzOiAzMiBieXRlcyE=";
/// 32 bytes 0x01.
const EXAMPLE_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
/// The maximum time to wait for a log line. The programs look for differences every ten seconds.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Waits until the private health checks of the first api and the first worker show an expected state.
async fn until_shown(system: &TestSystem, is_expected: impl Fn(&Value) -> bool) {
    eventually("both programs to show the expected state", async || {
        let (worker, api) = (system.worker_ready(0).await, system.api_ready(0).await);
        let both = [&worker, &api].iter().all(|(status, body)| *status == 200 && is_expected(&body["programs"]));
        if both { Ok(()) } else { Err(format!("{worker:?}\n{api:?}")) }
    })
    .await;
}

#[tokio::test]
async fn private_health_checks_show_the_running_programs_and_their_differences() {
    let mut system = TestSystem::with(Plan { apis: 2, workers: 1, ..Plan::default() }).await;
    until_shown(&system, |programs| {
        let versions = programs["versions"].as_array();
        programs["apis"] == 2
            && programs["workers"] == 1
            && programs["max_connections"] == 39
            && programs["warnings"] == Value::Array(vec![])
            && versions.is_some_and(|versions| versions.len() == 1)
    })
    .await;

    system.set_worker("LINK_SEALING_KEY", OTHER_KEY);
    system.start_worker().await;
    until_shown(&system, |programs| {
        programs["warnings"][0]["code"] == "sealing_keys_differ"
            && programs["sealing_keys"].as_array().is_some_and(|keys| keys.len() == 2)
    })
    .await;
    let warnings = system.workers[0].log().iter().filter(|line| line.contains("sealing_keys_differ")).count();
    assert_eq!(warnings, 1, "the difference is logged once");
    let (_, public) = system.get(&system.url("/health/ready").await).await;
    assert!(!public.contains("programs"), "{public}");

    let stopped = system.workers.pop().unwrap();
    stopped.terminate();
    assert!(stopped.wait().await.success());
    assert_eq!(system.scalar::<i64>("select count(*) from email_programs").await, 3);
    until_shown(&system, |programs| programs["workers"] == 1 && programs["warnings"] == Value::Array(vec![])).await;
    system.finish().await;
}

#[tokio::test]
async fn different_confirm_keys_are_reported_at_start() {
    let url = "http://127.0.0.1:8080";
    let plan = Plan::default().api("PUBLIC_URL", url).worker("PUBLIC_URL", url);
    let plan = plan.api("CONFIRM_KEY", OTHER_KEY).worker("CONFIRM_KEY", EXAMPLE_KEY);
    let system = TestSystem::with(plan).await;
    until_shown(&system, |programs| programs["warnings"][0]["code"] == "confirm_keys_differ").await;
    for program in [&system.workers[0], &system.apis[0]] {
        let line = program.wait_for_line("cannot read the links that the worker", MAX_WAIT).await.unwrap();
        assert!(line.contains("WARN") && line.contains("Give all programs the same CONFIRM_KEY"), "{line}");
        assert!(!program.log().concat().contains(OTHER_KEY) && !program.log().concat().contains(EXAMPLE_KEY));
    }
    system.finish().await;
}
