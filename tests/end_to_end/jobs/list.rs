//! `jobs list` prints jobs in pages, as a table or as JSON.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::{Plan, TestSystem};

use super::{command, look};

/// Starts a system and creates two sent jobs, a failed job, a superseded job and a queued job. Returns the system and
/// the jobs' request ids, oldest first.
async fn five_jobs() -> (TestSystem, Vec<String>) {
    let mut system = TestSystem::with(Plan::default()).await;
    system.supabase.ban("banned@example.com");
    let mut requests = vec![];
    for (address, state) in
        [("ann@example.com", "sent"), ("bob@other.example", "sent"), ("banned@example.com", "failed")]
    {
        let answer = system.ask(address).await;
        system.until_state(&answer, state).await;
        requests.push(answer.request_id);
    }
    drop(system.workers.drain(..));
    for page in ["one", "two"] {
        requests.push(system.ask_for("cleo@example.com", page).await.request_id);
    }
    (system, requests)
}

/// The request ids of the listed jobs, in the order of the list.
fn requests(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["request_id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_page_but_the_last_shows_the_command_for_the_next_page() {
    let (system, all) = five_jobs().await;
    let mut found = vec![];
    let mut arguments: Vec<String> = ["list", "--limit", "2", "--since", "2h"].map(str::to_owned).to_vec();
    for page in 0.. {
        assert!(page < 3, "{found:?}");
        let shown = look(&system, &arguments.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let ids = shown.text().lines().filter_map(|line| line.split_whitespace().last());
        found.extend(ids.filter(|id| all.iter().any(|known| known == id)).map(str::to_owned));
        let Some((_, next)) = shown.text().split_once("\nNext page: magic-link-worker jobs ") else { break };
        assert!(next.contains(" --limit 2 --before ") && next.contains(" --since 2h "), "{next}");
        arguments = next.split_whitespace().map(str::to_owned).collect();
    }
    let newest_first: Vec<String> = all.into_iter().rev().collect();
    assert_eq!(found, newest_first);
    system.finish_with_open_jobs(1).await;
}

#[tokio::test]
async fn a_table_is_at_most_120_columns_wide_and_masks_addresses() {
    let (system, _) = five_jobs().await;
    system.execute("update email_jobs set portal = repeat('p', 32), code = 'mailgun_recipient_not_authorized' where state = 'failed'").await;
    let shown = look(&system, &["list"]).await;
    shown.has(&["AGE  STATE", "a***@example.com", "b***@other.example", "queued", "superseded", "mailgun_recipient_"]);
    assert!(shown.out.lines().all(|line| line.chars().count() <= 120), "{}", shown.out);
    for name in ["ann@", "bob@", "cleo@", "banned@"] {
        assert!(!shown.out.contains(name), "{}", shown.out);
    }
    look(&system, &["list", "--addresses"]).await.has(&["ann@example.com", "bob@other.example"]);
    system.finish_with_open_jobs(1).await;
}

#[tokio::test]
async fn each_filter_finds_the_matching_jobs() {
    let (system, all) = five_jobs().await;
    system.execute("update email_jobs set portal = 'shop' where recipient = 'bob@other.example'").await;
    let [ann, bob, banned, first, second] = [&all[0], &all[1], &all[2], &all[3], &all[4]];
    let newest: &[&String] = &[second, first, banned, bob, ann];
    for (arguments, wanted) in [
        (&[][..], newest),
        (&["--state", "queued"], &[second]),
        (&["--state", "sent"], &[bob, ann]),
        (&["--state", "failed"], &[banned]),
        (&["--state", "expired"], &[]),
        (&["--code", "user_banned"], &[banned]),
        (&["--code", "newer_request"], &[first]),
        (&["--portal", "shop"], &[bob]),
        (&["--portal", "default"], &[second, first, banned, ann]),
        (&["--recipient", " CLEO@example.com"], &[second, first]),
        (&["--recipient", "cleo@example.com", "--state", "superseded"], &[first]),
        (&["--domain", "Other.example"], &[bob]),
        (&["--request-id", ann.as_str()], &[ann]),
        (&["--delivery", "delivered"], &[]),
        (&["--since", "2031-01-01T00:00Z"], &[second]),
        (&["--since", "1h", "--domain", "example.com", "--state", "sent"], &[ann]),
    ] {
        let arguments = [&["list", "--json"], arguments].concat();
        let shown = look(&system, &arguments).await;
        assert_eq!(requests(&shown.json()), wanted.iter().map(|id| id.as_str()).collect::<Vec<_>>(), "{arguments:?}");
        assert_eq!(shown.errors, "", "{arguments:?}");
    }
    system.finish_with_open_jobs(1).await;
}

#[tokio::test]
async fn json_output_has_one_object_per_line_and_the_command_for_the_next_page_is_on_stderr() {
    let (system, all) = five_jobs().await;
    let shown = look(&system, &["list", "--json", "--limit", "4"]).await;
    let lines = shown.json();
    assert_eq!(lines.len(), 4);
    let (next, before) = (format!("Next page: {}", "magic-link-worker jobs list"), lines[3]["id"].as_str().unwrap());
    assert_eq!(shown.errors, format!("{next} --limit 4 --before {before} --json\n"));
    let fields: BTreeSet<&str> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = "attempts code created_at delivery finished_at id message portal recipient request_id state";
    assert_eq!(fields, wanted.split(' ').collect());
    assert_eq!(
        (&lines[0]["recipient"], &lines[0]["request_id"]),
        (&"c***@example.com".into(), &all[4].as_str().into())
    );
    system.finish_with_open_jobs(1).await;
}

#[tokio::test]
async fn closing_the_output_early_is_not_a_failure() {
    let (system, _) = five_jobs().await;
    for arguments in [&["list"][..], &["list", "--json"], &["show", "ann@example.com"]] {
        let mut child = command(&system.url_as(sandbox::Role::Viewer), arguments).await.spawn().unwrap();
        drop(child.stdout.take());
        let output = tokio::time::timeout(super::MAX_WAIT, child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]), "{arguments:?}");
    }
    system.finish_with_open_jobs(1).await;
}
