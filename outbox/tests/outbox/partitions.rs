//! Day partitions are created and dropped without blocking other statements.

use crate::test_outbox::{TestOutbox, ok, request};
use outbox::{JobEnd, Step, partitions};

const TODAY: &str = "to_char(now() at time zone 'utc', 'YYYYMMDD')";

#[tokio::test]
async fn a_missing_partition_is_created_when_a_job_needs_it() {
    let outbox = TestOutbox::new().await;
    let today: String = outbox.scalar(&format!("select {TODAY}")).await;
    outbox.execute(&format!("drop table email_jobs_{today}, email_attempts_{today}")).await;
    let id = outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    outbox.seal(&job).await;
    outbox.finish_by(&job, JobEnd::Sent, ok(Step::Send)).await;

    assert_eq!(outbox.job(id).await.state_and_code(), ("sent", None));
}

#[tokio::test]
async fn partitions_are_created_a_week_ahead_even_by_concurrent_programs() {
    let outbox = TestOutbox::new().await;
    outbox.execute("drop table email_jobs_open cascade").await;
    for table in ["email_jobs", "email_attempts"] {
        outbox.execute(&format!("do $$ declare t text; begin for t in select inhrelid::regclass from pg_inherits where inhparent = '{table}'::regclass loop execute 'drop table ' || t; end loop; end $$")).await;
    }
    let (one, two, three) =
        tokio::join!(partitions::make(&outbox.pool), partitions::make(&outbox.pool), partitions::make(&outbox.pool));
    one.and(two).and(three).unwrap();

    let ahead: i64 = outbox.scalar("select count(*) from pg_inherits where inhparent = 'email_jobs'::regclass").await;
    assert_eq!(ahead, 9);
    // Partitions have the same comments as the table.
    assert!(
        outbox
            .scalar::<bool>(&format!("select col_description(('email_jobs_' || {TODAY})::regclass, 2) is not null"))
            .await
    );
}

#[tokio::test]
async fn only_old_partitions_are_dropped() {
    let outbox = TestOutbox::new().await;
    outbox
        .execute(
            "set role magic_link_owner;
             create table email_jobs_20200101 partition of email_jobs for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00');
             create table email_events_20200101 partition of email_events for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00');
             create table email_attempts_20200102 (like email_attempts);
             reset role",
        )
        .await;
    let days = "select count(*) from pg_inherits where inhparent = 'email_jobs'::regclass";
    let before: i64 = outbox.scalar(days).await;
    let dropped = partitions::drop_old(&outbox.pool, 30).await.unwrap();

    assert_eq!(dropped.names, ["email_events_20200101", "email_jobs_20200101"]);
    let kept = "select to_regclass('email_attempts_20200102') is not null";
    assert!(outbox.scalar::<bool>(kept).await, "a table that is not a partition was dropped");
    assert_eq!(partitions::drop_old(&outbox.pool, 1).await.unwrap(), partitions::Dropped::default());
    assert_eq!(outbox.scalar::<i64>(days).await, before - 1);
}

#[tokio::test]
async fn a_partition_in_use_is_dropped_later_and_blocks_no_statement() {
    let outbox = TestOutbox::new().await;
    outbox
        .execute(
            "set role magic_link_owner;
             create table email_jobs_20200101 partition of email_jobs for values from ('2020-01-01 00:00:00+00') to ('2020-01-02 00:00:00+00');
             reset role",
        )
        .await;
    let mut reader = outbox.pool.begin().await.unwrap();
    sqlx::raw_sql("select from email_jobs limit 1").execute(&mut *reader).await.unwrap();
    let dropped = partitions::drop_old(&outbox.pool, 30).await.unwrap();
    assert_eq!((dropped.names.len(), dropped.in_use.as_deref()), (0, Some("email_jobs_20200101")));
    outbox.queued(request("hello@example.com")).await;

    drop(reader);
    assert_eq!(partitions::drop_old(&outbox.pool, 30).await.unwrap().names, ["email_jobs_20200101"]);
    outbox.expect_open_jobs(1);
}
