//! Migrations that have been merged do not change, older and newer programs work with the tables, and operators can
//! replicate the tables.

use std::{fmt::Write as _, time::Duration};

use outbox::{Error, JobEnd, ProgramKind, Step, check_schema};

use crate::test_outbox::{TestOutbox, ok, request};

/// Version and checksum (the first 8 bytes of SHA-384) of each migration. [`outbox::migrate`] fails if a migration
/// was changed after the database had applied it. So never change a line: add a new migration, and add a line for it
/// here.
const CHECKSUMS: &str = "
0001 e2d26c456db93a6e
0002 d5ccfe4c226fa861
0003 07717dda1a2bdcb6
0004 e4fe4b755e6a6e25
0005 b7fd66bbe858ea3f
0006 54e5786da262d6ff
0007 45eecc9300040b38
0008 634479270cf8a80c
0009 d7620bebfc303b68
0010 64c97b5481c3ed50
0011 52df871aa0bfe732
0012 5e78022a33d86cd1
0013 28009e6592aed518
0014 53b75e53a93f239c
0015 ac22826aef875135
0016 d81171240d9907d1
0017 089a7df5ffbfafdc
0018 6a544d615940ecf1
0019 5165dc7e769ccf3e
0020 55c15602cd1b6106
0021 1b7e7f98837b9446
";

#[test]
fn merged_migrations_do_not_change() {
    let mut seen = String::new();
    for migration in sqlx::migrate!("../migrations").iter() {
        let checksum = migration.checksum[..8].iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        writeln!(seen, "{:04} {checksum}", migration.version).unwrap();
    }
    assert_eq!(seen.trim(), CHECKSUMS.trim());
}

#[tokio::test]
async fn every_table_can_be_in_a_publication() {
    let outbox = TestOutbox::new().await;
    let without = "select relname::text from pg_class
                   where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') and relreplident <> 'f'
                     and not exists (select from pg_index where indrelid = pg_class.oid and indisprimary)";
    assert_eq!(outbox.rows::<(String,)>(without).await, []);

    outbox.execute("create publication everything for all tables").await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    outbox.seal(&job).await;
    outbox.finish_by(&job, JobEnd::Sent, ok(Step::Send)).await;
    outbox.execute("update email_rollup set rolled_up_to = rolled_up_to - interval '1 hour'").await;
    outbox::roll_up(&outbox.pool).await.unwrap();
    outbox.execute("update email_reconciler set held_until = held_until - interval '1 hour'").await;
    outbox::forget_idle_quotas(&outbox.pool).await.unwrap();
    outbox::expire(&outbox.pool).await.unwrap();
    outbox::rescue(&outbox.pool, 20).await.unwrap();
    outbox::forget_reports(&outbox.pool, Duration::ZERO).await.unwrap();
}

/// During an upgrade or after a rollback, an older program runs with newer tables.
#[tokio::test]
async fn a_program_starts_with_newer_tables_unless_they_require_a_newer_version() {
    let outbox = TestOutbox::new().await;
    let check = async |program| check_schema(&outbox.pool, program).await.map_err(|error| error.to_string());
    assert_eq!(check(ProgramKind::Worker).await, Ok(()));
    outbox
        .execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             values (9999, 'of a newer version', true, '', 0)",
        )
        .await;
    outbox::migrate(&outbox.admin).await.unwrap();
    assert_eq!(check(ProgramKind::Worker).await, Ok(()));

    outbox.execute("update outbox_schema set worker_from = 9999").await;
    let error = check(ProgramKind::Worker).await.unwrap_err();
    assert!(error.contains("9999") && error.contains("run the newer version"), "{error}");
    assert_eq!(check(ProgramKind::Api).await, Ok(()));
}

#[tokio::test]
async fn a_program_waits_until_the_tables_are_migrated_to_its_version() {
    let outbox = TestOutbox::new().await;
    outbox.execute("delete from _sqlx_migrations where version = (select max(version) from _sqlx_migrations)").await;
    let error = check_schema(&outbox.pool, ProgramKind::Worker).await.unwrap_err();
    assert!(matches!(error, Error::TablesTooOld { .. }) && error.is_outage(), "{error}");
    assert!(error.to_string().contains("magic-link-worker migrate"), "{error}");
    outbox.execute("drop function outbox_versions").await;
    let error = check_schema(&outbox.pool, ProgramKind::Api).await.unwrap_err();
    assert!(matches!(error, Error::TablesTooOld { .. }), "{error}");
}

#[tokio::test]
async fn an_outdated_worker_claims_nothing_and_an_outdated_api_adds_nothing() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    outbox.execute("update outbox_schema set worker_from = 9999, api_from = 9999").await;
    assert!(outbox.claim(10).await.is_empty());
    for address in ["hello@example.com", "newcomer@example.com"] {
        let refused = outbox::test_support::enqueue(&outbox.api, &outbox.admission, &[request(address)]).await;
        assert!(refused.unwrap_err().is_outage(), "{address}");
    }
    outbox.execute("update outbox_schema set worker_from = 0, api_from = 0").await;
    assert_eq!(outbox.claim(10).await.len(), 1);
    outbox.queued(request("newcomer@example.com")).await;
    outbox.expect_open_jobs(2);
}

/// Runs the statements of an api from before migration 0015. Such an api may run during an upgrade or after a rollback.
#[tokio::test]
async fn an_older_api_adds_jobs_without_a_shown_host() {
    let outbox = TestOutbox::new().await;
    let as_api = async |statement: &str| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).fetch_all(&outbox.api).await.unwrap().len()
    };
    let known = as_api(
        "select * from email_add_newcomers(
           array['1 min'::interval], array['1 min'::interval], array['0193a000-0000-7000-8000-000000000001'::uuid],
           array['ann@example.com'], array['ann@example.com'], array['https://example.com/a'], array['203.0.113.7'],
           array['first'], array[null], '15 min')",
    );
    assert_eq!(known.await, 0, "the address should belong to a newcomer");
    as_api(
        "select email_add_jobs(
           array['bob@example.com'], array[null::bigint], array['{}'], array['{}'::jsonb], array['bob@example.com'],
           array['https://example.com/a'],
           array['0193a000-0000-7000-8000-000000000002', '0193a000-0000-7000-8000-000000000003']::uuid[],
           array['bob@example.com', 'ann@example.com'], array['bob@example.com', 'ann@example.com'],
           array['https://example.com/a', 'https://example.com/b'], array['second', 'third'], array[null, null],
           array['queued', 'queued'], array[null, null], array[null, null], '15 min')",
    )
    .await;
    let jobs = outbox.jobs().await;
    let states: Vec<_> = jobs.iter().map(|job| (job.request_id.as_str(), job.state.as_str())).collect();
    assert_eq!(states, [("first", "superseded"), ("second", "queued"), ("third", "queued")]);
    assert!(jobs.iter().all(|job| job.shown_host.is_none()), "{jobs:?}");
    let claimed = outbox.claim(10).await;
    assert!(claimed.len() == 2 && claimed.iter().all(|job| job.shown_host.is_none()), "{claimed:?}");
    outbox.expect_open_jobs(2);
}

/// Runs the statements of an api from before migration 0019.
#[tokio::test]
async fn an_older_api_adds_jobs_without_a_portal() {
    let outbox = TestOutbox::new().await;
    let known: Vec<(Option<String>,)> = sandbox::rows(
        &outbox.api,
        "select key from email_enqueue_newcomer_batch(
           array['1 min'::interval], array['1 min'::interval], array['0193a000-0000-7000-8000-000000000001'::uuid],
           array['ann@example.com'], array['ann@example.com'], array['https://example.com/a'], array['example.com'],
           array['de'], array[null], array['203.0.113.7'], array['first'], array[null], '10 min')",
    )
    .await;
    assert_eq!(known, [], "the address should belong to a newcomer");
    let superseded: Vec<(String, i16, bool)> = sandbox::rows(
        &outbox.api,
        "select job_request_id, attempts, requested_at < now() from email_enqueue_batch(
           array['bob@example.com'], array[null::bigint], array['{}'], array['{}'::jsonb], array['bob@example.com'],
           array['https://example.com/a'],
           array['0193a000-0000-7000-8000-000000000002', '0193a000-0000-7000-8000-000000000003']::uuid[],
           array['bob@example.com', 'ann@example.com'], array['bob@example.com', 'ann@example.com'],
           array['https://example.com/a', 'https://example.com/b'], array['example.com', 'example.com'],
           array['en', 'de'], array[null, 'Europe/Berlin'], array['second', 'third'], array[null, null],
           array['queued', 'queued'], array[null, null], array[null, null], '10 min')",
    )
    .await;
    assert_eq!(superseded, [("first".to_owned(), 0, true)]);
    let jobs = outbox.jobs().await;
    let stored: Vec<_> =
        jobs.iter().map(|job| (job.request_id.as_str(), job.language.as_deref(), job.time_zone.as_deref())).collect();
    let expected =
        [("first", Some("de"), None), ("second", Some("en"), None), ("third", Some("de"), Some("Europe/Berlin"))];
    assert_eq!(stored, expected);
    assert!(jobs.iter().all(|job| job.portal.is_none() && (job.deadline - 600.0).abs() < 1e-3), "{jobs:?}");
    let claimed = outbox.claim(10).await;
    assert!(claimed.len() == 2 && claimed.iter().all(|job| job.portal.is_none()), "{claimed:?}");
    outbox.expect_open_jobs(2);
}
