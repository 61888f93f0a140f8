//! Outages of Postgres and of the upstreams: programs recover without a restart, and no accepted request is lost.

use std::time::Duration;

use sandbox::{Fault, FaultKind, eventually};
use sqlx::{Connection as _, PgConnection};
use tests::{Plan, TestSystem};

/// Terminates every connection of the programs, including the one on which a worker listens for notifications.
const CUT_ALL: &str = "
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name like 'magic-link-%'";

/// A trigger function that raises Postgres's error for a full disk.
const FULL_DISK: &str = "
    create function full_disk() returns trigger language plpgsql as $$
    begin
        raise 'could not extend file: No space left on device' using errcode = 'disk_full';
    end
    $$";

#[tokio::test]
async fn a_postgres_restart_loses_no_accepted_request() {
    let system = TestSystem::with(Plan { own_server: true, ..Plan::default() }).await;
    let server = system.server.as_ref().unwrap();
    let before = system.ask("before@example.com").await;
    assert_eq!(before.status, 200);

    server.halt().await;
    let during = system.ask("during@example.com").await;
    assert_eq!((during.status, &during.body["code"]), (503, &"unavailable".into()));
    assert!(during.headers.contains_key("retry-after"));
    assert_eq!(system.worker_ready(0).await.0, 503);

    server.resume().await.unwrap();
    let after = eventually("an accepted request", async || {
        let answer = system.ask("after@example.com").await;
        if answer.status == 200 { Ok(answer) } else { Err(answer) }
    })
    .await;
    system.until_state(&before, "sent").await;
    system.until_state(&after, "sent").await;
    assert!(system.find_job(&during).await.is_none(), "a refused request has no job");
    eventually("the worker to be ready", async || {
        let (status, body) = system.worker_ready(0).await;
        if status == 200 { Ok(()) } else { Err(body) }
    })
    .await;
    system.finish().await;
}

#[tokio::test]
async fn programs_started_before_postgres_recover_when_postgres_starts() {
    let mut system = TestSystem::with(Plan { own_server: true, apis: 0, workers: 0, ..Plan::default() }).await;
    system.server.as_ref().unwrap().halt().await;
    system.start_api().await;
    system.start_worker().await;
    assert_eq!(system.ask("early@example.com").await.status, 503);
    let (status, page) = system.get(&system.url("/health/ready").await).await;
    assert_eq!(status, 503);
    assert!(page.contains("database") && !page.contains("DATABASE_URL"), "{page}");
    assert_eq!(system.get(&system.url("/health/live").await).await.0, 200);

    system.server.as_ref().unwrap().resume().await.unwrap();
    let answer = eventually("an accepted request", async || {
        let answer = system.ask("late@example.com").await;
        if answer.status == 200 { Ok(answer) } else { Err(answer) }
    })
    .await;
    system.until_state(&answer, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn after_the_listener_has_lost_its_connection_mails_are_still_sent() {
    let system = TestSystem::start().await;
    system.execute(CUT_ALL).await;
    let answer = eventually("an accepted request", async || {
        let answer = system.ask("hello@example.com").await;
        if answer.status == 200 { Ok(answer) } else { Err(answer) }
    })
    .await;
    system.until_state(&answer, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn repeatedly_cut_connections_do_not_cost_a_running_job_its_lease() {
    let system = TestSystem::with(Plan::default().worker("LEASE_SECONDS", "5")).await;
    system.supabase.faults().add(FaultKind::Delay { millis: 8_000 });
    let answer = system.ask("hello@example.com").await;
    system.supabase.wait_for_calls(1).await.unwrap();
    let cut = async {
        loop {
            system.execute(CUT_ALL).await;
            // Cut the connections several times within each lease.
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
    };
    let job = tokio::select! {
        () = cut => unreachable!("the connections are cut until the mail is sent"),
        job = system.until_state(&answer, "sent") => job,
    };
    assert_eq!(job.attempt, 1, "the lease was lost");
    assert_eq!(system.mailgun.mails().len(), 1);
    system.finish().await;
}

#[tokio::test]
async fn a_server_without_free_connections_is_a_temporary_outage() {
    let system = TestSystem::with(Plan { own_server: true, ..Plan::default() }).await;
    let before = system.ask("before@example.com").await;
    system.until_state(&before, "sent").await;
    // Other clients take all free connections. Then the programs' connections are cut, and the api cannot reconnect.
    let mut others = vec![];
    let refused = loop {
        while let Ok(other) = PgConnection::connect(&system.database.url()).await {
            others.push(other);
        }
        sqlx::raw_sql(CUT_ALL).execute(&mut others[0]).await.unwrap();
        let answer = system.ask("during@example.com").await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_eq!((refused.status, &refused.body["code"]), (503, &"unavailable".into()));
    assert!(refused.headers.contains_key("retry-after"));

    drop(others);
    let after = eventually("an accepted request", async || {
        let answer = system.ask("after@example.com").await;
        if answer.status == 200 { Ok(answer) } else { Err(answer) }
    })
    .await;
    system.until_state(&after, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn on_a_full_disk_requests_are_refused_and_no_mail_is_sent_twice() {
    let system = TestSystem::start().await;
    system.execute(FULL_DISK).await;
    let fill = |table: &str| {
        format!("create trigger full_disk before insert on {table} for each row execute function full_disk()")
    };
    let empty = |table: &str| format!("drop trigger full_disk on {table}");
    system.execute(&fill("email_jobs_open")).await;
    let refused = system.ask("refused@example.com").await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &"unavailable".into()));
    assert!(refused.headers.contains_key("retry-after"));
    system.execute(&empty("email_jobs_open")).await;

    // From now on, a worker cannot record that a job has ended.
    let today: String = system.scalar("select 'email_jobs_' || to_char(now() at time zone 'utc', 'YYYYMMDD')").await;
    system.execute(&fill(&today)).await;
    let accepted = system.ask("accepted@example.com").await;
    assert_eq!(accepted.status, 200);
    system.mailgun.wait_for_mails(1).await.unwrap();
    let said = |line: &&String| line.contains("the database is unavailable");
    eventually("the worker to log the outage", async || {
        system.workers[0].log().iter().find(said).cloned().ok_or("no such log line")
    })
    .await;
    assert_eq!(system.job(&accepted).await.state, "running");
    system.execute(&empty(&today)).await;
    system.until_state(&accepted, "sent").await;
    assert_eq!(system.mailgun.mails().len(), 1);
    system.finish().await;
}

#[tokio::test]
async fn a_missing_partition_is_not_an_error() {
    let system = TestSystem::start().await;
    let today: String = system.scalar("select to_char(now() at time zone 'utc', 'YYYYMMDD')").await;
    system.execute(&format!("drop table email_jobs_{today}, email_attempts_{today}")).await;
    let answer = system.ask("hello@example.com").await;

    assert_eq!(answer.status, 200);
    system.until_state(&answer, "sent").await;
    assert_eq!(system.scalar::<i64>("select count(*) from email_attempts").await, 2);
    system.finish().await;
}

#[tokio::test]
async fn a_worker_keeps_its_jobs_and_is_not_ready_while_an_upstream_is_down() {
    let system = TestSystem::start().await;
    system.supabase.faults().add(Fault::status(503).always());
    let answer = system.ask("hello@example.com").await;
    let down = eventually("the worker to report Supabase as down", async || {
        let (status, body) = system.worker_ready(0).await;
        // The status alone proves nothing, because the worker is also not ready while it starts.
        if status == 503 && body["checks"]["supabase"]["status"] == "down" { Ok(body) } else { Err(body) }
    })
    .await;
    assert_eq!(down["checks"]["supabase"]["setting"], "SUPABASE_URL");

    system.supabase.faults().clear();
    let job = system.until_state(&answer, "sent").await;
    assert_eq!(system.worker_ready(0).await.0, 200);
    assert_eq!((job.attempt, job.code), (1, None), "the outage used up no attempt");
    system.mailgun.wait_for_mail("hello@example.com", Duration::from_secs(1)).await.unwrap();
    system.finish().await;
}
