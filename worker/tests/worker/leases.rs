//! Leases: what happens to a running job when its worker dies, stops, or loses the database.

use std::time::Duration;

use sandbox::{Durability, Fault, FaultKind, Postgres, TestDatabase, eventually};

use crate::test_worker::{TIMEOUT, TestWorker, get_ready};

#[tokio::test(flavor = "multi_thread")]
async fn another_worker_finishes_a_killed_workers_job() {
    let mut test = TestWorker::new().await;
    test.set("LEASE_SECONDS", "5");
    test.set("UPSTREAM_TIMEOUT", "60s");
    test.supabase.faults().add(FaultKind::Hang);
    let dying = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    test.supabase.wait_for_calls(1).await.unwrap();
    let other = test.start_worker();
    other.address().await.unwrap();
    dying.kill();
    let killed = std::time::Instant::now();

    test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();
    // This test checks a guaranteed time limit: the lease of 5 s plus the interval between rescues.
    assert!(killed.elapsed() < Duration::from_secs(9), "the lease and the rescue took longer than 9 s");
    let done = test.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 2);
    assert_eq!(test.mailgun.mails().len(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_while_its_job_runs() {
    let mut test = TestWorker::new().await;
    test.set("LEASE_SECONDS", "5");
    test.set("UPSTREAM_TIMEOUT", "60s");
    test.supabase.faults().add(FaultKind::Delay { millis: 7_500 });
    let _worker = test.start_worker();
    let _other = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    let done = test.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 1, "another worker claimed the job");
    assert_eq!(test.supabase.journal().len(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_worker_changes_nothing_after_it_resumes() {
    let mut test = TestWorker::new().await;
    test.set("LEASE_SECONDS", "5");
    test.set("UPSTREAM_TIMEOUT", "60s");
    test.supabase.faults().add(FaultKind::Delay { millis: 500 });
    let frozen = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    test.supabase.wait_for_calls(1).await.unwrap();
    frozen.freeze();
    let _other = test.start_worker();
    test.wait_for_state(job, "sent").await;
    frozen.thaw();

    frozen.wait_for_line("lease_lost", TIMEOUT).await.unwrap();
    assert_eq!(test.job(job).await.state, "sent");
    assert_eq!(test.mailgun.mails().len(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_lets_running_deliveries_finish() {
    let mut test = TestWorker::new().await;
    test.set("WORKER_CONCURRENCY", "1");
    test.supabase.faults().add(FaultKind::Delay { millis: 500 });
    let worker = test.start_worker();
    let running = test.enqueue("ada@example.com").await;
    test.supabase.wait_for_calls(1).await.unwrap();
    worker.terminate();
    worker.wait_for_line("stopping", TIMEOUT).await.unwrap();
    let waiting = test.enqueue("eve@example.com").await;

    assert!(worker.wait().await.success());
    assert_eq!(test.job(running).await.state, "sent");
    assert_eq!(test.job(waiting).await.state, "queued", "the job was claimed after the shutdown began");
    test.finish_with_open_jobs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_requeues_jobs_whose_deliveries_do_not_finish() {
    let mut test = TestWorker::new().await;
    test.set("SHUTDOWN_SECONDS", "0");
    test.set("UPSTREAM_TIMEOUT", "60s");
    test.supabase.faults().add(Fault::from(FaultKind::Hang).to("link@example.com"));
    test.mailgun.faults().add(Fault::from(FaultKind::HangAfter).to("send@example.com"));
    let worker = test.start_worker();
    let in_link = test.enqueue("link@example.com").await;
    let in_send = test.enqueue("send@example.com").await;
    test.supabase.wait_for_calls(2).await.unwrap();
    test.mailgun.wait_for_calls(1).await.unwrap();
    worker.terminate();
    assert!(worker.wait().await.success(), "{:#?}", worker.log());

    let requeued = test.job(in_link).await;
    assert_eq!((requeued.state.as_str(), requeued.attempt), ("queued", 0));
    assert_eq!(test.outcomes(in_link).await, "generate_link stopped");
    let unknown = test.job(in_send).await;
    assert_eq!((unknown.state.as_str(), unknown.attempt), ("retrying", 1));
    assert!(unknown.has_link, "the link was deleted, although its mail may have been sent");
    assert_eq!(test.outcomes(in_send).await, "generate_link ok, send stopped");
    test.finish_with_open_jobs(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_worker_is_not_ready() {
    let mut test = TestWorker::new().await;
    test.set("UPSTREAM_TIMEOUT", "60s");
    test.supabase.faults().add(FaultKind::Hang);
    let worker = test.start_worker();
    test.enqueue("ada@example.com").await;
    test.supabase.wait_for_calls(1).await.unwrap();
    worker.terminate();
    worker.wait_for_line("stopping", TIMEOUT).await.unwrap();
    let (status, health) = get_ready(&worker).await;
    assert_eq!((status, health["status"].as_str()), (503, Some("unavailable")));
    assert_eq!(health["checks"]["shutdown"]["code"], "stopping", "{health}");
    assert_eq!(health["checks"]["shutdown"]["setting"], "SHUTDOWN_SECONDS", "{health}");
    test.finish_with_open_jobs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_the_worker_immediately() {
    let mut test = TestWorker::new().await;
    test.set("UPSTREAM_TIMEOUT", "60s");
    test.supabase.faults().add(FaultKind::Hang);
    let worker = test.start_worker();
    test.enqueue("ada@example.com").await;
    test.supabase.wait_for_calls(1).await.unwrap();
    worker.terminate();
    worker.wait_for_line("stopping: no longer claiming jobs", TIMEOUT).await.unwrap();
    worker.terminate();
    assert_eq!(worker.wait().await.code(), Some(1));
    test.finish_with_open_jobs(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_waits_while_the_database_starts_or_restarts() {
    // The hard restart later in this test must not lose committed rows.
    let server = Postgres::start_with(Durability::Stock).await.unwrap();
    server.create_database("late").await.unwrap();
    server.halt().await;
    let url = server.url("late");
    let mut test = TestWorker::on(TestDatabase::on(server, "late"), &url).await;
    test.set("MIGRATE_ON_START", "true");
    let worker = test.start_worker();
    let (status, health) = get_ready(&worker).await;
    assert_eq!((status, &health["checks"]["database"]["setting"]), (503, &"DATABASE_URL".into()));

    worker.wait_for_line("the database is unavailable", TIMEOUT).await.unwrap();
    let server = test.server.as_ref().unwrap();
    server.resume().await.unwrap();
    eventually("ready", async || match get_ready(&worker).await {
        (200, _) => Ok(()),
        (_, health) => Err(health.to_string()),
    })
    .await;

    test.mailgun.faults().add(FaultKind::Delay { millis: 500 });
    let job = test.enqueue("ada@example.com").await;
    test.mailgun.wait_for_calls(1).await.unwrap();
    server.restart_hard().await.unwrap();
    let done = test.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 1);
    assert_eq!(test.mailgun.mails().len(), 1, "a mail that Mailgun had accepted was sent again");
    let next = test.enqueue("eve@example.com").await;
    test.wait_for_state(next, "sent").await;
    worker.wait_for_line("the database is back", TIMEOUT).await.unwrap();
    test.finish().await;
}
