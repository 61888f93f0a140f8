//! Who holds a job: after a death, at a stop, while the database is away.

use std::time::Duration;

use sandbox::{Durability, Fault, FaultKind, Postgres};

use crate::bench::{Bench, PATIENCE, eventually, lines, ready};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_workers_job_is_mailed_by_another() {
    let mut bench = Bench::new().await;
    bench.set("LEASE_SECONDS", "5");
    bench.set("UPSTREAM_TIMEOUT", "60s");
    bench.supabase.faults().add(FaultKind::Hang);
    let dying = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    bench.supabase.wait_for_calls(1).await.unwrap();
    let other = bench.start_worker();
    other.address().await.unwrap();
    dying.kill();
    let killed = std::time::Instant::now();

    bench.mailgun.wait_for_mail("ada@example.com", PATIENCE).await.unwrap();
    assert!(killed.elapsed() < Duration::from_secs(9), "a lease and a rescue are over by now");
    let done = bench.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 2);
    assert_eq!(bench.mailgun.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_renewed_while_its_job_runs() {
    let mut bench = Bench::new().await;
    bench.set("LEASE_SECONDS", "5");
    bench.set("UPSTREAM_TIMEOUT", "60s");
    bench.supabase.faults().add(FaultKind::Delay { millis: 7_500 });
    let _worker = bench.start_worker();
    let _other = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    let done = bench.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 1, "it was taken over");
    assert_eq!(bench.supabase.journal().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_changes_nothing_when_it_wakes() {
    let mut bench = Bench::new().await;
    bench.set("LEASE_SECONDS", "5");
    bench.set("UPSTREAM_TIMEOUT", "60s");
    bench.supabase.faults().add(FaultKind::Delay { millis: 500 });
    let frozen = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    bench.supabase.wait_for_calls(1).await.unwrap();
    frozen.freeze();
    let _other = bench.start_worker();
    bench.wait_for_state(job, "sent").await;
    frozen.thaw();

    frozen.wait_for_line("lease_lost", PATIENCE).await.unwrap();
    assert_eq!(bench.job(job).await.state, "sent");
    assert_eq!(bench.mailgun.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_running_deliveries_finish() {
    let mut bench = Bench::new().await;
    bench.set("WORKER_CONCURRENCY", "1");
    bench.supabase.faults().add(FaultKind::Delay { millis: 500 });
    let worker = bench.start_worker();
    let running = bench.enqueue("ada@example.com").await;
    bench.supabase.wait_for_calls(1).await.unwrap();
    worker.terminate();
    worker.wait_for_line("stopping", PATIENCE).await.unwrap();
    let waiting = bench.enqueue("eve@example.com").await;

    assert!(worker.wait().await.success());
    assert_eq!(bench.job(running).await.state, "sent");
    assert_eq!(bench.job(waiting).await.state, "queued", "it was claimed after the stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_hands_back_what_does_not_finish() {
    let mut bench = Bench::new().await;
    bench.set("SHUTDOWN_SECONDS", "0");
    bench.set("UPSTREAM_TIMEOUT", "60s");
    bench.supabase.faults().add(Fault::from(FaultKind::Hang).to("link@example.com"));
    bench.mailgun.faults().add(Fault::from(FaultKind::HangAfter).to("send@example.com"));
    let worker = bench.start_worker();
    let in_link = bench.enqueue("link@example.com").await;
    let in_send = bench.enqueue("send@example.com").await;
    bench.supabase.wait_for_calls(2).await.unwrap();
    bench.mailgun.wait_for_calls(1).await.unwrap();
    worker.terminate();
    assert!(worker.wait().await.success(), "{:#?}", worker.log());

    let handed_back = bench.job(in_link).await;
    assert_eq!((handed_back.state.as_str(), handed_back.attempt), ("queued", 0));
    assert_eq!(bench.story(in_link).await, "generate_link stopped");
    let unknown = bench.job(in_send).await;
    assert_eq!((unknown.state.as_str(), unknown.attempt), ("retrying", 1));
    assert!(unknown.has_link, "the same mail must go again");
    assert_eq!(bench.story(in_send).await, "generate_link ok, send stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_stops_at_once() {
    let mut bench = Bench::new().await;
    bench.set("UPSTREAM_TIMEOUT", "60s");
    bench.supabase.faults().add(FaultKind::Hang);
    let worker = bench.start_worker();
    bench.enqueue("ada@example.com").await;
    bench.supabase.wait_for_calls(1).await.unwrap();
    worker.terminate();
    worker.wait_for_line("stopping: no new jobs", PATIENCE).await.unwrap();
    worker.terminate();
    assert_eq!(worker.wait().await.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_may_come_late_and_go_away() {
    let mut bench = Bench::new().await;
    // What is committed must outlive the crash.
    let server = Postgres::start_with(Durability::Stock).await.unwrap();
    server.create_database("late").await.unwrap();
    let url = server.url("late");
    server.halt().await;
    bench.set("DATABASE_URL", &url);
    bench.set("MIGRATE_ON_START", "true");
    let worker = bench.start_worker();
    let (status, health) = ready(&worker).await;
    assert_eq!((status, &health["checks"]["database"]["setting"]), (503, &"DATABASE_URL".into()));

    worker.wait_for_line("the database is away", PATIENCE).await.unwrap();
    server.resume().await.unwrap();
    bench.pool = outbox::connect(&url.into(), 4, "test").unwrap();
    eventually("ready", async || match ready(&worker).await {
        (200, _) => Ok(()),
        (_, health) => Err(health.to_string()),
    })
    .await;

    bench.mailgun.faults().add(FaultKind::Delay { millis: 500 });
    let job = bench.enqueue("ada@example.com").await;
    bench.mailgun.wait_for_calls(1).await.unwrap();
    server.restart_hard().await.unwrap();
    let done = bench.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 1);
    assert_eq!(bench.mailgun.mails().len(), 1, "a mail that was taken went out again");
    let next = bench.enqueue("eve@example.com").await;
    bench.wait_for_state(next, "sent").await;
    assert!(lines(&worker, "the database is back") >= 1);
}
