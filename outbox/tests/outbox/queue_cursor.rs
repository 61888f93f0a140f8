//! A worker that remembers its position in the queue does not read deleted jobs, and does not skip any job.

use std::{ops::RangeInclusive, time::Duration};

use outbox::{ClaimOptions, ClaimedJob, Failure, Finish, JobEnd, PgPool, QueueCursor};

use crate::test_outbox::TestOutbox;

/// A dump or a long report holds a snapshot. Until the snapshot is released, the entries of deleted jobs stay in the
/// index.
#[tokio::test]
async fn claims_do_not_read_deleted_jobs_while_a_snapshot_is_held() {
    const CLAIMS: i64 = 100;
    const LIMIT: i64 = 50;
    let outbox = TestOutbox::new().await;
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off)").await;
    wait_at(&outbox, 1..=CLAIMS * LIMIT).await;
    let mut report = outbox.admin.begin().await.unwrap();
    let hold =
        "set transaction isolation level repeatable read; set local idle_in_transaction_session_timeout = 0; select 1";
    sqlx::raw_sql(hold).execute(&mut *report).await.unwrap();

    let mut cursor = QueueCursor::default();
    for _ in 0..CLAIMS {
        let claimed = take(&mut cursor, &outbox.pool, LIMIT).await;
        assert_eq!(claimed.len(), 50);
        let refused = Failure::new("bad_email", "Refused.");
        let end = |job: &ClaimedJob| Finish { lease: job.lease, end: JobEnd::Failed(refused.clone()), step: None };
        outbox::finish(&outbox.pool, &claimed.iter().map(end).collect::<Vec<_>>()).await.unwrap();
    }
    let read = entries_read(&outbox, "email_jobs_open_queue").await;
    // Claims from the start of the queue would read 50 + 100 + 150 + … = 252,500 entries.
    assert!(read < 100_000, "{read} entries were read for {CLAIMS} claims of {LIMIT}");
    assert!(read >= CLAIMS * LIMIT, "only {read} entries were counted");
}

/// Postgres's statistics always lag behind. If they had been gathered while the queue was empty, claims used to read
/// and sort all waiting jobs.
#[tokio::test]
async fn a_claim_reads_only_the_jobs_that_it_takes_whatever_the_statistics() {
    let outbox = TestOutbox::new().await;
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off); analyze email_jobs_open").await;
    let mut cursor = QueueCursor::default();
    take(&mut cursor, &outbox.pool, 10).await;
    wait_at(&outbox, 1..=5_000).await;
    for _ in 0..10 {
        assert_eq!(take(&mut cursor, &outbox.pool, 10).await.len(), 10);
    }
    let read = entries_read(&outbox, "email_jobs_open_queue").await;
    assert!((100..2_000).contains(&read), "{read} entries were read for 100 jobs of 5,000");
    outbox.expect_open_jobs(5_000);
}

/// For each waiting job, a claim looks up whether the recipient has a running job. With statistics from a time without
/// running jobs, each of these lookups used to read all running jobs through the lease index.
#[tokio::test]
async fn a_claim_does_not_read_the_running_jobs_of_other_recipients() {
    let outbox = TestOutbox::new().await;
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off)").await;
    wait_at(&outbox, 1..=1_000).await;
    // Put the recipients in random order, as in practice.
    outbox.execute("update email_jobs set recipient = md5(recipient) || '@example.com'").await;
    outbox.execute("vacuum (analyze) email_jobs_open").await;
    let mut cursor = QueueCursor::default();
    for _ in 0..10 {
        assert_eq!(take(&mut cursor, &outbox.pool, 100).await.len(), 100);
    }
    let read = entries_read(&outbox, "email_jobs_open_lease").await;
    assert_eq!(read, 0, "claims read entries of the lease index");
    outbox.expect_open_jobs(1_000);
}

#[tokio::test]
async fn a_job_before_the_cursor_is_claimed_when_no_other_job_waits() {
    let outbox = TestOutbox::new().await;
    let mut cursor = QueueCursor::default();
    wait_at(&outbox, 5..=6).await;
    assert_eq!(take(&mut cursor, &outbox.pool, 2).await.len(), 2);
    wait_at(&outbox, 1..=1).await;
    assert_eq!(take(&mut cursor, &outbox.pool, 2).await[0].recipient.as_str(), "at-1@example.com");
    outbox.expect_open_jobs(3);
}

#[tokio::test]
async fn a_job_before_the_cursor_does_not_wait_for_a_long_queue() {
    let outbox = TestOutbox::new().await;
    let mut cursor = QueueCursor::default();
    wait_at(&outbox, 2..=5_000).await;
    take(&mut cursor, &outbox.pool, 1).await;
    wait_at(&outbox, 1..=1).await;
    // From time to time, a claim starts at the beginning of the queue. It finds the new job at place 1 before all the
    // other jobs have been claimed.
    let mut claims = 1;
    while take(&mut cursor, &outbox.pool, 1).await.first().expect("the job was skipped").recipient.as_str()
        != "at-1@example.com"
    {
        claims += 1;
    }
    assert!(claims > 1, "each claim started at the beginning of the queue");
    outbox.expect_open_jobs(5_000);
}

/// Adds a waiting job at each of these places in the queue.
async fn wait_at(outbox: &TestOutbox, places: RangeInclusive<i64>) {
    let (first, last) = (places.start(), places.end());
    outbox
        .execute(&format!(
            "insert into email_jobs (id, recipient, mailbox, callback_url, deadline_at, request_id, place, seq)
             select gen_random_uuid(), name, name, 'https://example.com/', now() + interval '1 hour', 'test', n, n
             from generate_series({first}, {last}) as n, lateral (select format('at-%s@example.com', n) as name) as person"
        ))
        .await;
}

/// Returns how many entries of an index the claims have read in total. Closes the pool first, because Postgres counts
/// the reads of a session when the session ends.
async fn entries_read(outbox: &TestOutbox, index: &str) -> i64 {
    outbox.pool.close().await;
    outbox.wait_until_sessions_end().await;
    let reads = format!("select idx_tup_read from pg_stat_user_indexes where indexrelname = '{index}'");
    outbox.scalar(&reads).await
}

async fn take(cursor: &mut QueueCursor, pool: &PgPool, limit: i64) -> Vec<ClaimedJob> {
    let options = ClaimOptions { worker: "test", lease: Duration::from_secs(60), limit };
    cursor.claim(pool, options).await.unwrap()
}
