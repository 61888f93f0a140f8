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
        link_style: None,
        confirm_keys: None,
        portals: None,
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
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_programs").await, 1);
}

#[tokio::test]
async fn a_worker_that_cannot_open_another_workers_links_causes_a_warning() {
    let outbox = TestOutbox::new().await;
    let pair = async |first: &[&str], second: &[&str]| {
        outbox.execute("delete from email_programs").await;
        report(&outbox.pool, worker("worker-a", first)).await;
        report(&outbox.pool, worker("worker-b", second)).await
    };
    // The stages of a key replacement, which cause no warning.
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
        // The first worker cannot open the links that the second worker seals.
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
async fn a_program_that_cannot_read_a_workers_confirm_links_causes_a_warning() {
    fn with_keys(program: Program, keys: &[&str]) -> Program {
        let keys: Vec<String> = keys.iter().map(|&key| key.to_owned()).collect();
        Program { confirm_keys: Some(keys).filter(|keys| !keys.is_empty()), ..program }
    }
    let outbox = TestOutbox::new().await;
    let mail = async |style: &'static str, sender: &[&str], api_keys: &[&str], second: &[&str]| {
        outbox.execute("delete from email_programs").await;
        let a = Program { link_style: Some(style), ..with_keys(worker("worker-a", &["aaaaaaaa"]), sender) };
        let b = Program { link_style: Some("verify"), ..with_keys(worker("worker-b", &["aaaaaaaa"]), second) };
        report(&outbox.pool, a).await;
        report(&outbox.pool, b).await;
        report(&outbox.api, with_keys(api(), api_keys)).await
    };
    // The stages of a key replacement, and link styles that need no key. These combinations cause no warning.
    for (style, sender, api_keys) in [
        ("confirm", &["11111111"][..], &["11111111"][..]),
        ("confirm", &["11111111"], &["11111111", "22222222"]),
        ("confirm", &["11111111", "22222222"], &["22222222", "11111111"]),
        ("confirm", &["22222222"], &["22222222"]),
        ("verify", &[], &[]),
        ("verify", &[], &["11111111"]),
        ("token_hash", &["11111111"], &[]),
    ] {
        let summary = mail(style, sender, api_keys, sender).await;
        assert_eq!(codes(&summary), [""; 0], "{style} {sender:?} {api_keys:?}");
    }
    for (sender, api_keys, second, reader) in [
        (&["11111111"][..], &["22222222"][..], &["11111111"][..], "The api "),
        (&["11111111"], &[], &["11111111"], "The api "),
        (&["22222222", "11111111"], &["11111111"], &["22222222"], "The api "),
        (&["11111111"], &["11111111"], &["22222222"], "The worker worker-b"),
        (&["11111111"], &["11111111"], &[], "The worker worker-b"),
    ] {
        let summary = mail("confirm", sender, api_keys, second).await;
        assert_eq!(codes(&summary), ["confirm_keys_differ"], "{sender:?} {api_keys:?} {second:?}");
        let message = &summary.warnings[0].message;
        assert!(message.starts_with(reader), "{message}");
        assert!(message.contains("cannot read the links that the worker worker-a mails"), "{message}");
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

    // The database's own connection limit also counts.
    outbox.execute("delete from email_programs").await;
    assert_eq!(codes(&report(&outbox.api, api()).await), [""; 0]);
    let database: String = outbox.scalar("select current_database()::text").await;
    outbox.execute(&format!("alter database {database} connection limit 12")).await;
    let summary = report(&outbox.api, api()).await;
    assert_eq!((codes(&summary).as_slice(), summary.connections_allowed), (["too_few_connections"].as_slice(), 12));
}

#[tokio::test]
async fn the_viewer_role_sees_the_programs_in_two_views() {
    let outbox = TestOutbox::new().await;
    report(&outbox.api, api()).await;
    report(&outbox.pool, worker("worker-a", &["aaaaaaaa", "bbbbbbbb"])).await;
    let now = "select kind, version, commit, max_connections, sealing_keys, seen_ago < interval '10 s' as is_new
               from email_programs_now";
    let row = |kind: &str, sealing_keys: Option<&str>| NowRow {
        kind: kind.to_owned(),
        version: "0.1.0".to_owned(),
        commit: Some("0123456789ab".to_owned()),
        max_connections: 13,
        sealing_keys: sealing_keys.map(str::to_owned),
        is_new: true,
    };
    let shown: Vec<NowRow> = sandbox::rows(&outbox.viewer, now).await;
    assert_eq!(shown, [row("api", None), row("worker", Some("aaaaaaaa bbbbbbbb"))]);

    let summary = "select apis, workers, max_connections::bigint, versions, sealing_keys from email_programs_summary";
    let summary: Vec<SummaryRow> = sandbox::rows(&outbox.viewer, summary).await;
    let expected = SummaryRow {
        apis: 1,
        workers: 1,
        max_connections: 26,
        versions: vec!["0.1.0 0123456789ab".to_owned()],
        sealing_keys: vec!["aaaaaaaa bbbbbbbb".to_owned()],
    };
    assert_eq!(summary, [expected]);
}

/// A row of `email_programs_now`.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct NowRow {
    kind: String,
    version: String,
    commit: Option<String>,
    max_connections: i32,
    sealing_keys: Option<String>,
    is_new: bool,
}

/// The row of `email_programs_summary`.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct SummaryRow {
    apis: i64,
    workers: i64,
    max_connections: i64,
    versions: Vec<String>,
    sealing_keys: Vec<String>,
}

#[tokio::test]
async fn the_summary_lists_the_portals_that_at_least_one_running_worker_knows() {
    fn with_portals(program: Program, portals: &[&str]) -> Program {
        Program { portals: Some(portals.iter().map(|&portal| portal.to_owned()).collect()), ..program }
    }
    let outbox = TestOutbox::new().await;
    let known = async || {
        let summary = report(&outbox.api, with_portals(api(), &["of-the-api"])).await;
        summary.worker_portals().map(|portals| portals.iter().cloned().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(known().await, None, "no worker is running");
    report(&outbox.pool, worker("worker-a", &["aaaaaaaa"])).await;
    assert_eq!(known().await.as_deref(), Some(""));

    let second = ProgramReporter::new(with_portals(worker("worker-b", &["aaaaaaaa"]), &["shop", "club"]));
    second.report(&outbox.pool).await.unwrap();
    report(&outbox.pool, with_portals(worker("worker-c", &["aaaaaaaa"]), &["shop", "third"])).await;
    assert_eq!(known().await.as_deref(), Some("club shop third"));
    let shown = "select string_agg(coalesce(portals, '-'), ', ' order by kind, name) from email_programs_now";
    assert_eq!(outbox.scalar::<String>(shown).await, "of-the-api, -, shop club, shop third");

    // A worker reloads its portals without a restart.
    second.set_portals(Some(vec!["club".to_owned(), "new".to_owned()]));
    second.report(&outbox.pool).await.unwrap();
    assert_eq!(known().await.as_deref(), Some("club new shop third"));
    second.set_portals(None);
    second.report(&outbox.pool).await.unwrap();
    assert_eq!(known().await.as_deref(), Some("shop third"));

    outbox.execute("update email_programs set seen_at = seen_at - interval '31 s' where kind = 'worker'").await;
    assert_eq!(known().await, None, "no worker has reported for half a minute");
}

/// Runs the statement with which programs older than migration 0019 report themselves. Such a program may still be
/// running during an upgrade.
#[tokio::test]
async fn an_older_program_reports_itself_without_portals() {
    let outbox = TestOutbox::new().await;
    let report_older = "select workers, warnings is null, versions from email_program_running(
        'older', 'worker', '0.1.0', '0123456789ab', 18, 13, array['aaaaaaaa'], 'verify', null)";
    let older: Vec<(i64, bool, Vec<String>)> = sandbox::rows(&outbox.pool, report_older).await;
    assert_eq!(older, [(1, true, vec!["0.1.0 0123456789ab".to_owned()])]);
    let summary = report(&outbox.api, api()).await;
    assert_eq!(summary.worker_portals().map(|portals| portals.len()), Some(0));
}
