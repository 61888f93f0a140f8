//! Every write to several running jobs locks the jobs in the order of their ids, so that two writes cannot deadlock. A
//! worker renews leases while its committers write the same jobs, and a deadlock would delay both writes by a second.

use std::time::Duration;

use outbox::{ClaimedJob, Error, Failure, Finish, JobEnd, Lease, Requeue, Seal};

use crate::test_outbox::{TestOutbox, request};

/// Leases of two running jobs, the later job first.
async fn claimed_in_reverse() -> (TestOutbox, Vec<Lease>) {
    let outbox = TestOutbox::new().await;
    for recipient in ["a@example.com", "b@example.com"] {
        outbox.queued(request(recipient)).await;
    }
    let mut leases: Vec<Lease> = outbox.claim(2).await.into_iter().map(|job: ClaimedJob| job.lease).collect();
    leases.sort_by_key(|lease| std::cmp::Reverse(lease.job));
    (outbox, leases)
}

/// Runs a write while another transaction holds a lock on the earlier job, and checks that this other transaction can
/// then also lock the later job.
async fn assert_waits_without_holding_the_later_job(
    outbox: &TestOutbox,
    leases: &[Lease],
    write: impl Future<Output = Result<usize, Error>>,
) {
    let mut other = outbox.admin.begin().await.unwrap();
    let lock = |lease: &Lease| {
        sqlx::AssertSqlSafe(format!("select from email_jobs_open where id = '{}' for update", lease.job))
    };
    sqlx::raw_sql(lock(&leases[1])).execute(&mut *other).await.unwrap();
    let (written, ()) = tokio::join!(write, async {
        outbox.until_sessions_wait_for_locks(1).await;
        sqlx::raw_sql(lock(&leases[0])).execute(&mut *other).await.expect("the write holds a lock on the later job");
        other.commit().await.unwrap();
    });
    assert_eq!(written.unwrap(), leases.len());
    // A session that detects a deadlock updates the statistics immediately.
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    assert_eq!(outbox.scalar::<i64>(deadlocks).await, 0);
}

#[tokio::test]
async fn leases_are_renewed_in_lock_order() {
    let (outbox, leases) = claimed_in_reverse().await;
    let renew = async {
        let renewed = outbox::renew_leases(&outbox.pool, &leases, Duration::from_secs(30)).await?;
        Ok(renewed.len())
    };
    assert_waits_without_holding_the_later_job(&outbox, &leases, renew).await;
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn links_are_stored_in_lock_order() {
    let (outbox, leases) = claimed_in_reverse().await;
    let seals: Vec<Seal> = leases.iter().map(|lease| Seal { lease: *lease, link: None, step: None }).collect();
    let seal = async { Ok(outbox::test_support::seal(&outbox.pool, &seals).await?.len()) };
    assert_waits_without_holding_the_later_job(&outbox, &leases, seal).await;
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn jobs_are_finished_in_lock_order() {
    let (outbox, leases) = claimed_in_reverse().await;
    let end = JobEnd::Failed(Failure::new("unknown_user", "There is no such account."));
    let ends: Vec<Finish> = leases.iter().map(|lease| Finish { lease: *lease, end: end.clone(), step: None }).collect();
    let finish = async { Ok(outbox::finish(&outbox.pool, &ends).await?.len()) };
    assert_waits_without_holding_the_later_job(&outbox, &leases, finish).await;
}

#[tokio::test]
async fn jobs_are_requeued_in_lock_order() {
    let (outbox, leases) = claimed_in_reverse().await;
    let requeue = |lease: &Lease| Requeue {
        lease: *lease,
        delay: Duration::ZERO,
        failure: None,
        is_uncounted: true,
        suspected: None,
        step: None,
    };
    let requeues: Vec<Requeue> = leases.iter().map(requeue).collect();
    let requeue = async { Ok(outbox::requeue(&outbox.pool, &requeues).await?.len()) };
    assert_waits_without_holding_the_later_job(&outbox, &leases, requeue).await;
    outbox.expect_open_jobs(2);
}
