//! A worker's place in the queue: it spares what has gone, and passes nobody over.

use std::{ops::RangeInclusive, time::Duration};

use outbox::{ClaimOptions, ClaimedJob, Failure, Finish, JobEnd, PgPool, QueueCursor};

use crate::test_outbox::TestOutbox;

/// A dump, a long report: as long as its snapshot lives, the entries of jobs that have gone stay in the index.
#[tokio::test]
async fn claims_do_not_read_what_has_gone_while_a_snapshot_is_held() {
    const CLAIMS: i64 = 100;
    const LIMIT: i64 = 50;
    let outbox = TestOutbox::new().await;
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off)").await;
    wait_at(&outbox, 1..=CLAIMS * LIMIT).await;
    let mut report = outbox.admin.begin().await.unwrap();
    let hold =
        "set transaction isolation level repeatable read; set local idle_in_transaction_session_timeout = 0; select 1";
    sqlx::raw_sql(hold).execute(&mut *report).await.unwrap();

    let mut head = QueueCursor::default();
    for _ in 0..CLAIMS {
        let claimed = take(&mut head, &outbox.pool, LIMIT).await;
        assert_eq!(claimed.len(), 50);
        let gone = Failure::new("bad_email", "Refused.");
        let end = |job: &ClaimedJob| Finish { lease: job.lease, end: JobEnd::Failed(gone.clone()), step: None };
        outbox::finish(&outbox.pool, &claimed.iter().map(end).collect::<Vec<_>>()).await.unwrap();
    }
    let read = entries_read(&outbox, "email_jobs_open_queue").await;
    // From the beginning each time: 50 + 100 + 150 + … = 252,500.
    assert!(read < 100_000, "{read} entries were read for {CLAIMS} claims of {LIMIT}");
    assert!(read >= CLAIMS * LIMIT, "the counters count");
}

/// Statistics are always of another time: with those of an empty queue, claims once read all that waited, to sort them.
#[tokio::test]
async fn a_claim_reads_no_more_than_it_takes_whatever_the_statistics_say() {
    let outbox = TestOutbox::new().await;
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off); analyze email_jobs_open").await;
    let mut head = QueueCursor::default();
    take(&mut head, &outbox.pool, 10).await;
    wait_at(&outbox, 1..=5_000).await;
    for _ in 0..10 {
        assert_eq!(take(&mut head, &outbox.pool, 10).await.len(), 10);
    }
    let read = entries_read(&outbox, "email_jobs_open_queue").await;
    assert!((100..2_000).contains(&read), "{read} entries were read for 100 jobs of 5,000");
}

/// Whether somebody's job runs is looked up by who it is. With statistics of a moment when none ran, claims once read all that
/// run, by their leases, for each that waits.
#[tokio::test]
async fn none_who_run_are_read_for_a_job_of_another() {
    let outbox = TestOutbox::new().await;
    outbox.execute("alter table email_jobs_open set (autovacuum_enabled = off)").await;
    wait_at(&outbox, 1..=1_000).await;
    // In an order of their own, as people ask.
    outbox.execute("update email_jobs set recipient = md5(recipient) || '@example.com'").await;
    outbox.execute("vacuum (analyze) email_jobs_open").await;
    let mut head = QueueCursor::default();
    for _ in 0..10 {
        assert_eq!(take(&mut head, &outbox.pool, 100).await.len(), 100);
    }
    let read = entries_read(&outbox, "email_jobs_open_lease").await;
    assert_eq!(read, 0, "leases were read for claims");
}

#[tokio::test]
async fn a_job_further_ahead_is_taken_as_soon_as_nobody_else_waits() {
    let outbox = TestOutbox::new().await;
    let mut head = QueueCursor::default();
    wait_at(&outbox, 5..=6).await;
    assert_eq!(take(&mut head, &outbox.pool, 2).await.len(), 2);
    wait_at(&outbox, 1..=1).await;
    assert_eq!(take(&mut head, &outbox.pool, 2).await[0].recipient.as_str(), "at-1@example.com");
}

#[tokio::test]
async fn a_job_further_ahead_is_taken_before_a_long_queue_has_gone() {
    let outbox = TestOutbox::new().await;
    let mut head = QueueCursor::default();
    wait_at(&outbox, 2..=5_000).await;
    take(&mut head, &outbox.pool, 1).await;
    wait_at(&outbox, 1..=1).await;
    // It waits for the next look from the beginning, a tenth of a second later, and not for 5,000 claims.
    let mut claims = 1;
    while take(&mut head, &outbox.pool, 1).await.first().expect("it is passed over").recipient.as_str()
        != "at-1@example.com"
    {
        claims += 1;
    }
    assert!(claims > 1, "the next claim began where the last one ended");
}

/// Jobs that wait, each at its place.
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

/// Of an index, by all claims.
async fn entries_read(outbox: &TestOutbox, index: &str) -> i64 {
    outbox.pool.close().await;
    outbox.no_programs_session().await;
    let reads = format!("select idx_tup_read from pg_stat_user_indexes where indexrelname = '{index}'");
    outbox.text(&reads).await.parse().unwrap()
}

async fn take(head: &mut QueueCursor, pool: &PgPool, limit: i64) -> Vec<ClaimedJob> {
    let options = ClaimOptions { worker: "test", lease: Duration::from_secs(60), limit };
    head.claim(pool, options).await.unwrap()
}
