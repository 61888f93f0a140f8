//! The summary of running programs, and its warnings.

use outbox::{
    PgPool, ProgramKind,
    programs::{Program, ProgramReporter, ProgramsSummary},
};

use crate::test_outbox::TestOutbox;

fn api() -> Program {
    Program {
        name: "host:1:20261126T000000Z".to_owned(),
        kind: ProgramKind::Api,
        version: "0.1.0",
        commit: Some("0123456789ab"),
        max_connections: 13,
        sealing_keys: None,
    }
}

fn worker(name: &str, sealing_keys: &[&str]) -> Program {
    Program {
        name: name.to_owned(),
        kind: ProgramKind::Worker,
        sealing_keys: Some(sealing_keys.iter().map(|&key| key.to_owned()).collect()),
        ..api()
    }
}

async fn report(pool: &PgPool, program: Program) -> ProgramsSummary {
    let reporter = ProgramReporter::new(program);
    reporter.report(pool).await.unwrap();
    reporter.latest().unwrap()
}

fn codes(summary: &ProgramsSummary) -> Vec<&str> {
    summary.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

#[tokio::test]
async fn programs_are_in_the_summary_until_they_stop_or_no_longer_report() {
    let outbox = TestOutbox::new().await;
    report(&outbox.api, api()).await;
    let summary = report(&outbox.pool, worker("worker-a", &["aaaaaaaa"])).await;
    assert_eq!((summary.apis, summary.workers, summary.max_connections), (1, 1, 26));
    assert!(summary.connections_allowed > 26, "{summary:?}");
    assert_eq!(
        (summary.versions.as_slice(), summary.sealing_keys.as_slice()),
        (["0.1.0 0123456789ab".to_owned()].as_slice(), ["aaaaaaaa".to_owned()].as_slice())
    );
    assert_eq!(summary.warnings, []);

    let second = ProgramReporter::new(worker("worker-b", &["aaaaaaaa"]));
    second.report(&outbox.pool).await.unwrap();
    second.report(&outbox.pool).await.unwrap();
    assert_eq!(second.latest().unwrap().workers, 2);
    second.report_stop(&outbox.pool).await;
    outbox.execute("update email_programs set seen_at = seen_at - interval '31 seconds' where kind = 'api'").await;
    let summary = report(&outbox.pool, worker("worker-a", &["aaaaaaaa"])).await;
    assert_eq!((summary.apis, summary.workers, summary.max_connections), (0, 1, 13));

    outbox.execute("update email_programs set seen_at = seen_at - interval '1 day' where kind = 'api'").await;
    report(&outbox.pool, worker("worker-a", &["aaaaaaaa"])).await;
    assert_eq!(outbox.text("select count(*) from email_programs").await, "1");
}

#[tokio::test]
async fn a_worker_that_cannot_open_another_workers_links_causes_a_warning() {
    let outbox = TestOutbox::new().await;
    let pair = async |first: &[&str], second: &[&str]| {
        outbox.execute("delete from email_programs").await;
        report(&outbox.pool, worker("worker-a", first)).await;
        report(&outbox.pool, worker("worker-b", second)).await
    };
    // The steps of replacing a key.
    for (first, second) in [
        (&["aaaaaaaa"][..], &["aaaaaaaa"][..]),
        (&["aaaaaaaa"], &["aaaaaaaa", "bbbbbbbb"]),
        (&["aaaaaaaa", "bbbbbbbb"], &["bbbbbbbb", "aaaaaaaa"]),
        (&["bbbbbbbb", "aaaaaaaa"], &["bbbbbbbb"]),
    ] {
        let summary = pair(first, second).await;
        assert_eq!(codes(&summary), [""; 0], "{first:?} {second:?}");
        assert_eq!(summary.sealing_keys.len(), if first == second { 1 } else { 2 });
    }
    for (first, second) in [
        (&["aaaaaaaa"][..], &["bbbbbbbb"][..]),
        // The first worker cannot open the links that the second one seals.
        (&["aaaaaaaa"], &["bbbbbbbb", "aaaaaaaa"]),
        (&["bbbbbbbb"], &["aaaaaaaa", "bbbbbbbb"]),
    ] {
        let summary = pair(first, second).await;
        assert_eq!(codes(&summary), ["sealing_keys_differ"], "{first:?} {second:?}");
        let message = &summary.warnings[0].message;
        assert!(message.contains("The worker worker-a cannot open links that worker-b has sealed"), "{message}");
    }
}

#[tokio::test]
async fn mixed_versions_and_too_many_connections_cause_warnings() {
    let outbox = TestOutbox::new().await;
    report(&outbox.api, api()).await;
    let newer = Program { commit: None, max_connections: 9_000, ..worker("worker-a", &["aaaaaaaa"]) };
    let summary = report(&outbox.pool, Program { version: "0.2.0", ..newer }).await;
    assert_eq!(codes(&summary), ["too_few_connections", "versions_differ"]);
    assert!(summary.warnings[0].message.contains("may open 9013 connections"), "{summary:?}");
    assert!(summary.warnings[1].message.contains("0.1.0 0123456789ab, 0.2.0"), "{summary:?}");

    // The connection limit of the database counts, too.
    outbox.execute("delete from email_programs").await;
    assert_eq!(codes(&report(&outbox.api, api()).await), [""; 0]);
    let database = outbox.text("select current_database()").await;
    outbox.execute(&format!("alter database {database} connection limit 12")).await;
    let summary = report(&outbox.api, api()).await;
    assert_eq!((codes(&summary).as_slice(), summary.connections_allowed), (["too_few_connections"].as_slice(), 12));
}

#[tokio::test]
async fn the_viewer_role_sees_the_programs_in_two_views() {
    let outbox = TestOutbox::new().await;
    report(&outbox.api, api()).await;
    report(&outbox.pool, worker("worker-a", &["aaaaaaaa", "bbbbbbbb"])).await;
    let rows = |query: &'static str| sqlx::query_scalar::<_, String>(query).fetch_all(&outbox.viewer);
    assert_eq!(
        rows("select concat_ws(' ', kind, version, commit, max_connections, sealing_keys, seen_ago) from email_programs_now")
            .await
            .unwrap(),
        ["api 0.1.0 0123456789ab 13 00:00:00", "worker 0.1.0 0123456789ab 13 aaaaaaaa bbbbbbbb 00:00:00"]
    );
    assert_eq!(
        rows(
            "select concat_ws(' ', apis, workers, max_connections, versions, sealing_keys) from email_programs_summary"
        )
        .await
        .unwrap(),
        [r#"1 1 26 {"0.1.0 0123456789ab"} {"aaaaaaaa bbbbbbbb"}"#]
    );
}
