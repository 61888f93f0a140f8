//! Every statement on the hot path uses an index, however many rows there are and whatever the statistics say.

use std::time::Duration;

use futures_util::future::join_all;
use outbox::{ClaimedJob, Finish, GroupCommit, JobEnd, NewLink, Seal};
use sandbox::Role;

use crate::test_outbox::{Statement, TestOutbox, request_for, statements};

#[tokio::test]
async fn every_statement_on_the_hot_path_uses_indexes() {
    let outbox = TestOutbox::new().await;
    // The second string of each pair occurs in no other statement.
    for (name, part) in [
        ("promote", "set state = 'queued'"),
        ("next due", "select min(run_at) from email_jobs_open where state = 'retrying'"),
        ("claim", "select id, false as is_probe"),
        ("probe", "order by place\n        limit 1"),
        ("probe of the newest", "order by place desc"),
        ("repeated probe", "order by probed_at, place"),
        ("renew", "as held (id, lease_token)"),
        ("seal", "as given (id, lease_token, sealed_link, message_id, age)"),
        ("finish", "returning job, given.state"),
        ("requeue", "given.lease_token,\n            given.delay"),
        ("locks of a requeue", "where id = any($1)\n        group by mailbox"),
        ("rescue", "lease_expires_at < clock_timestamp()"),
        ("expire", "with late as ("),
    ] {
        let statement = Statement::with(part);
        let plan = statement.plan(&outbox.pool, &statement.nulls()).await;
        assert!(plan.contains("Index"), "{name}\n{plan}");
        // A scan of `upstreams` or `operator_pauses` is cheap, because they have only a few rows.
        let is_small = |line: &str| line.contains("upstreams") || line.contains("operator_pauses");
        let scans: Vec<&str> = plan.lines().filter(|line| line.contains("Seq Scan") && !is_small(line)).collect();
        assert!(scans.is_empty(), "{name}: {scans:?}\n{plan}");
    }
}

/// Starting parallel workers takes several milliseconds. Postgres used to start them for the statement that a worker
/// runs after each empty claim, to find out how long claims will be stopped. That delayed every job.
#[tokio::test]
async fn no_statement_starts_parallel_workers() {
    let outbox = TestOutbox::new().await;
    // Other statements, such as `set transaction`, have no plan.
    let has_plan = |statement: &Statement| {
        let first = statement.text.split_whitespace().next().unwrap();
        ["select", "with", "insert", "update", "delete"].contains(&first)
    };
    let statements: Vec<Statement> = statements().into_iter().filter(has_plan).collect();
    assert!(statements.len() > 80, "{}", statements.len());
    let owner = outbox::connect(&outbox.url_as(Role::Owner).into(), 1, "test").unwrap();
    for statement in &statements {
        let plan = statement.plan(&owner, &statement.nulls()).await;
        assert!(!plan.contains("Gather"), "{}\n{plan}", statement.text);
    }
}

/// Plans do not show statements inside functions, so this test reads Postgres's counters.
#[tokio::test]
async fn a_job_passes_through_the_outbox_without_table_scans() {
    let outbox = TestOutbox::new().await;
    let commit = GroupCommit::of_requests(&outbox.api, outbox.admission.clone(), |_, _| ()).unwrap();
    let ask = |n: usize| commit.commit(request_for(&format!("person-{n}@example.com"), "page"));
    for outcome in join_all((0..600).map(ask)).await {
        outcome.unwrap();
    }
    let claimed = outbox.claim(1_000).await;
    assert_eq!(claimed.len(), 600);
    let link = |job: &ClaimedJob| NewLink {
        sealed: b"sealed".to_vec(),
        message_id: format!("<{}@test>", job.lease.job),
        age: Duration::ZERO,
    };
    let seal = |job: &ClaimedJob| Seal { lease: job.lease, link: Some(link(job)), step: None };
    outbox::test_support::seal(&outbox.pool, &claimed.iter().map(seal).collect::<Vec<_>>()).await.unwrap();
    let end = |job: &ClaimedJob| Finish { lease: job.lease, end: JobEnd::Sent, step: None };
    outbox::finish(&outbox.pool, &claimed.iter().map(end).collect::<Vec<_>>()).await.unwrap();

    drop(commit);
    tokio::join!(outbox.pool.close(), outbox.api.close());
    outbox.wait_until_sessions_end().await;
    let scans = "select relname::text, seq_scan from pg_stat_user_tables
                 where relname ~ '^(email_jobs|email_attempts|recipient_quotas|suppressed_recipients)' and seq_scan > 0";
    assert_eq!(outbox.rows::<(String, i64)>(scans).await, []);
    let found = "select idx_scan > 1000 from pg_stat_user_tables where relname = 'email_jobs_open'";
    assert!(outbox.scalar::<bool>(found).await, "the counters were not updated");
}

/// The statistics of the open partition are always outdated. With a plan based on the partition's size alone, Postgres
/// used to read the deadlines of all waiting jobs for each new job.
#[tokio::test]
async fn an_enqueue_does_not_read_the_waiting_jobs_of_other_recipients() {
    let outbox = TestOutbox::new().await;
    let people = |some: std::ops::Range<u32>| {
        some.map(|n| request_for(&format!("person-{n}@example.com"), "page")).collect::<Vec<_>>()
    };
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off)").await;
    outbox.enqueue(&people(0..100)).await;
    outbox
        .execute(
            "insert into email_jobs (
               id, state, recipient, mailbox, callback_url, created_at, run_at, deadline_at, request_id, place, seq)
             select
               gen_random_uuid(), 'queued', name, name, callback_url, created_at, run_at, deadline_at, request_id,
               100 + n, 100 + n
             from (select * from email_jobs_open limit 1) as one, generate_series(1, 40000) as n,
               lateral (select format('waiting-%s@example.com', n) as name) as waiting;",
        )
        .await;
    outbox.execute("vacuum email_jobs_open").await;
    // Close the connections that planned their statements while the table was empty.
    let reads =
        "select coalesce(sum(idx_tup_read), 0)::bigint from pg_stat_user_indexes where relname = 'email_jobs_open'";
    outbox.api.close().await;
    outbox.wait_until_sessions_end().await;
    let before: i64 = outbox.scalar(reads).await;

    let later = outbox::connect(&outbox.url_as(Role::Api).into(), 1, "test").unwrap();
    let again = people(50..250);
    for outcome in outbox::test_support::enqueue(&later, &outbox.admission, &again).await.unwrap() {
        assert!(matches!(outcome, outbox::Enqueued::Queued | outbox::Enqueued::Duplicate), "{outcome:?}");
    }
    later.close().await;
    outbox.wait_until_sessions_end().await;
    let read = outbox.scalar::<i64>(reads).await - before;
    assert!(read < 1_000, "{read} entries were read for 200 requests");
    outbox.expect_open_jobs(40_250);
}
