//! Programs that are killed or stopped at the worst moment.

use std::time::{Duration, Instant};

use sandbox::{Fault, FaultKind};
use tests::{Plan, TestSystem, eventually};

#[tokio::test]
async fn a_killed_workers_job_is_mailed_by_another_within_the_lease() {
    let mut system = TestSystem::with(Plan::default().worker("LEASE_SECONDS", "5")).await;
    system.supabase.faults().add(FaultKind::Hang);
    let answer = system.ask("hello@example.com").await;
    system.supabase.wait_for_calls(1).await.unwrap();
    let killed = Instant::now();
    system.workers[0].kill();
    system.start_worker().await;

    system.until_state(&answer, "sent").await;
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    assert_eq!(system.text("select attempt from email_jobs").await, "2");
}

#[tokio::test]
async fn all_jobs_of_a_killed_worker_are_mailed_within_the_lease_plus_five_seconds() {
    const JOBS: usize = 64;
    let mut system = TestSystem::with(Plan::default().worker("LEASE_SECONDS", "5")).await;
    system.supabase.faults().add(Fault::from(FaultKind::Hang).always());
    for person in 0..JOBS {
        assert_eq!(system.ask(&format!("person-{person}@example.com")).await.status, 200);
    }
    let running = "select count(*) from email_jobs_open where state = 'running'";
    eventually(|| async {
        let running = system.text(running).await;
        if running == JOBS.to_string() { Ok(()) } else { Err(running) }
    })
    .await
    .unwrap();
    system.supabase.faults().clear();
    let killed: f64 = system.text("select extract(epoch from clock_timestamp())").await.parse().unwrap();
    system.workers[0].kill();
    system.start_worker().await;
    system.until_idle().await;

    assert_eq!(system.text("select count(*) from email_jobs where state = 'sent'").await, JOBS.to_string());
    let last: f64 = system.text("select extract(epoch from max(finished_at)) from email_jobs").await.parse().unwrap();
    eprintln!("all {JOBS} jobs were mailed {:.1} s after the kill, with leases of 5 s", last - killed);
    assert!(last - killed <= 10.0, "{:.1} s", last - killed);
}

#[tokio::test]
async fn a_mail_that_mailgun_accepted_before_the_crash_is_repeated_with_the_same_link() {
    let mut system = TestSystem::with(Plan::default().worker("LEASE_SECONDS", "5")).await;
    system.mailgun.faults().add(FaultKind::HangAfter);
    let answer = system.ask("hello@example.com").await;
    system.mailgun.wait_for_mails(1).await.unwrap();
    system.workers[0].kill();
    system.start_worker().await;

    system.until_state(&answer, "sent").await;
    let mails = system.mailgun.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].link(), mails[1].link());
    assert_eq!(mails[0].message_id, mails[1].message_id);
    assert_eq!(system.supabase.journal().len(), 1, "no second link invalidated the one in the inbox");
    assert!(system.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test]
async fn a_stopped_worker_hands_its_jobs_back_at_once() {
    let mut system = TestSystem::with(Plan::default().worker("SHUTDOWN_SECONDS", "1")).await;
    system.supabase.faults().add(FaultKind::Hang);
    let answer = system.ask("hello@example.com").await;
    system.supabase.wait_for_calls(1).await.unwrap();
    system.workers[0].terminate();
    assert!(system.workers[0].wait().await.success());

    assert_eq!(system.text("select concat_ws(' ', state, attempt) from email_jobs").await, "queued 0");
    system.start_worker().await;
    system.until_state(&answer, "sent").await;
}

#[tokio::test]
async fn a_stopped_api_answers_the_request_in_flight() {
    let system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    // This lock holds up the enqueue for as long as the transaction is open.
    let mut holder = system.pool.begin().await.unwrap();
    sqlx::raw_sql("lock table email_jobs_open in exclusive mode").execute(&mut *holder).await.unwrap();
    let stop = async {
        eventually(|| async {
            match system.text("select count(*) from pg_locks where not granted").await.as_str() {
                "0" => Err("no request waits for the lock"),
                _ => Ok(()),
            }
        })
        .await
        .unwrap();
        system.apis[0].terminate();
        system.apis[0].wait_for_line("stop", Duration::from_secs(5)).await.unwrap();
        holder.commit().await.unwrap();
    };
    let (answer, ()) = tokio::join!(system.ask("hello@example.com"), stop);

    assert_eq!(answer.status, 200);
    assert!(system.apis[0].wait().await.success());
    assert_eq!(system.text("select count(*) from email_jobs").await, "1");
}
