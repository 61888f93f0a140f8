//! Claims, leases and rescues.

use std::time::Duration;

use outbox::{ClaimOptions, Failure, JobEnd, Recorded, Requeued, Upstream, upstreams};

use crate::test_outbox::{Statement, TestOutbox, request, request_for};

#[tokio::test]
async fn jobs_are_claimed_once_and_in_queue_order() {
    let outbox = TestOutbox::new().await;
    let mut ids = Vec::new();
    for n in 0..6 {
        ids.push(outbox.queued(request(&format!("r{n}@example.com"))).await);
    }
    let (left, right) = tokio::join!(outbox.claim(3), outbox.claim(3));
    let mut claimed: Vec<_> = left.iter().chain(&right).map(|job| job.lease.job).collect();
    claimed.sort();
    claimed.dedup();

    assert_eq!(claimed, ids);
    assert!(outbox.claim(10).await.is_empty());
    outbox.expect_open_jobs(6);
}

#[tokio::test]
async fn a_recipient_never_has_two_running_jobs() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request_for("hello@example.com", "1")).await;
    let running = outbox.claim_one().await;
    let second = outbox.queued(request_for("hello@example.com", "2")).await;
    assert!(outbox.claim(10).await.is_empty());

    outbox.seal(&running).await;
    outbox.finish(&running, JobEnd::Failed(Failure::new("test", "test"))).await;
    // The seal has already ended the job as superseded.
    assert_eq!(outbox.job(running.lease.job).await.state_and_code(), ("superseded", Some("newer_request")));
    assert_eq!(outbox.claim_one().await.lease.job, second);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_stale_lease_changes_nothing() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let first = outbox.claim_one().await;
    outbox.execute("update email_jobs set lease_expires_at = clock_timestamp() - interval '1 second'").await;
    assert_eq!(outbox::rescue(&outbox.pool, 20).await.unwrap().requeued, 1);
    let second = outbox.claim_one().await;

    assert_eq!(outbox.seal(&first).await, outbox::SendDecision::LeaseLost);
    assert_eq!(outbox.requeue(&first, Duration::ZERO).await, Requeued::LeaseLost);
    assert_eq!(outbox.finish(&first, JobEnd::Sent).await, Recorded::LeaseLost);
    assert!(outbox::renew_leases(&outbox.pool, &[first.lease], Duration::from_secs(30)).await.unwrap().is_empty());
    assert_eq!(second.attempt, 2);
    outbox.seal(&second).await;
    assert_eq!(outbox.finish(&second, JobEnd::Sent).await, Recorded::Done);
}

#[tokio::test]
async fn an_expired_lease_is_not_renewed() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    let renew = || outbox::renew_leases(&outbox.pool, std::slice::from_ref(&job.lease), Duration::from_secs(90));

    assert_eq!(renew().await.unwrap(), [job.lease]);
    assert!(outbox.scalar::<bool>("select lease_expires_at > now() + interval '60 s' from email_jobs").await);
    assert_eq!(outbox::rescue(&outbox.pool, 20).await.unwrap().requeued, 0);
    outbox.execute("update email_jobs set lease_expires_at = clock_timestamp() - interval '1 second'").await;
    assert_eq!(renew().await.unwrap(), []);
    assert_eq!(outbox::rescue(&outbox.pool, 20).await.unwrap().requeued, 1);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_job_whose_workers_keep_dying_fails_after_its_last_attempt() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(request("hello@example.com")).await;
    for _ in 0..2 {
        outbox.claim_one().await;
        outbox.execute("update email_jobs set lease_expires_at = clock_timestamp() - interval '1 second'").await;
        outbox::rescue(&outbox.pool, 2).await.unwrap();
    }
    assert_eq!(outbox.job(id).await.state_and_code(), ("failed", Some("attempts_exhausted")));
}

#[tokio::test]
async fn a_retrying_job_is_not_claimed_before_it_is_due() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let job = outbox.claim_one().await;
    assert_eq!(outbox.requeue(&job, Duration::from_secs(60)).await, Requeued::Waiting);

    assert_eq!(outbox::promote_due(&outbox.pool).await.unwrap(), 0);
    assert!(outbox.claim(1).await.is_empty());
    let due = outbox::next_due(&outbox.pool).await.unwrap().unwrap();
    assert!(due > Duration::from_secs(58) && due <= Duration::from_secs(60));

    outbox.execute("update email_jobs set run_at = clock_timestamp()").await;
    assert_eq!(outbox::promote_due(&outbox.pool).await.unwrap(), 1);
    assert_eq!(outbox.claim_one().await.attempt, 2);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn breakers_and_pauses_stop_claims_and_only_a_breaker_allows_probes() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("hello@example.com")).await;
    let why = Failure::new("bad_jwt", "The key is wrong.");
    let reason = upstreams::StopReason { kind: upstreams::StopKind::Breaker, failure: &why, setting: "KEY" };
    let by = upstreams::StoppedBy::Answer;
    assert!(upstreams::stop(&outbox.pool, Upstream::Supabase, by, tokio::time::Instant::now(), &reason).await.unwrap());
    assert!(outbox.claim(1).await.is_empty());
    let probe = ClaimOptions { worker: "test", lease: Duration::from_secs(30), limit: 1 };

    upstreams::pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(60)).await.unwrap();
    assert!(outbox::claim_probe(&outbox.pool, probe, upstreams::ProbeOrder::OldestFirst).await.unwrap().is_none());
    outbox.execute("update upstreams set paused_until = null").await;
    assert!(outbox::claim_probe(&outbox.pool, probe, upstreams::ProbeOrder::OldestFirst).await.unwrap().is_some());
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_claim_uses_the_queue_index_and_reads_no_retrying_job() {
    let outbox = TestOutbox::new().await;
    outbox
        .execute(
            "insert into email_jobs (id, state, recipient, mailbox, callback_url, code, attempt, attempted_at, run_at, deadline_at, request_id, place, seq)
             select gen_random_uuid(), 'retrying', 'r' || n || '@example.com', 'r' || n || '@example.com', 'https://portal.example.com/', 'x', 1, now(),
               now() + interval '1 hour', now() + interval '2 hours', 'test', n, n
             from generate_series(1, 20000) as n;
             analyze email_jobs_open",
        )
        .await;
    let explain = Statement::with("select id, false as is_probe").plan(&outbox.pool, "'test', 30, 64, 0").await;
    assert!(explain.contains("email_jobs_open_queue"), "{explain}");
    assert!(!explain.contains("Seq Scan on email_jobs_open"), "{explain}");
    outbox.expect_open_jobs(20_000);
}

#[tokio::test]
async fn a_job_with_invalid_values_fails_and_the_other_jobs_are_claimed() {
    let outbox = TestOutbox::new().await;
    let no_address = outbox.queued(request("hello@example.com")).await;
    let no_url = outbox.queued(request("eve@example.com")).await;
    let no_host = outbox.queued(request("bob@example.com")).await;
    let good = outbox.queued(request("ada@example.com")).await;
    outbox.execute(&format!("update email_jobs set recipient = 'nobody' where id = '{no_address}'")).await;
    outbox.execute(&format!("update email_jobs set callback_url = '/nowhere' where id = '{no_url}'")).await;
    outbox.execute(&format!("update email_jobs set shown_host = 'Pay now' where id = '{no_host}'")).await;

    for id in [no_address, no_url, no_host] {
        assert_eq!(outbox.job(id).await.state_and_code(), ("queued", None));
    }
    assert_eq!(outbox.claim(3).await.iter().map(|job| job.lease.job).collect::<Vec<_>>(), [good]);
    for id in [no_address, no_url, no_host] {
        assert_eq!(outbox.job(id).await.state_and_code(), ("failed", Some("job_unreadable")));
    }
    let message = outbox.job(no_url).await.message.unwrap();
    assert!(message.contains("callback_url") && !message.contains("nowhere"), "{message}");
    outbox.expect_open_jobs(1);
}
