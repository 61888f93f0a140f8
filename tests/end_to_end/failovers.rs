//! Sessions that are read-only after a failover, servers that refuse new sessions, and outages that are longer than a
//! lease.

use std::time::Duration;

use sandbox::{Fault, FaultKind, eventually};
use sqlx::{Connection as _, PgConnection};
use tests::{Answer, Plan, TestSystem};

/// Changes the database roles of both programs and terminates their sessions.
async fn change_roles(system: &TestSystem, change: &str) {
    let roles = ["magic_link_api", "magic_link_worker"];
    for role in roles {
        system.execute(&format!("alter role {role} {change}")).await;
    }
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'magic_link_%'";
    system.execute(cut).await;
}

/// Starts a system with its own Postgres server, because the tests change roles, which all databases of a server share.
async fn start() -> TestSystem {
    TestSystem::with(Plan { own_server: true, ..Plan::default() }).await
}

/// Waits until neither program is ready, and the worker's message about the database contains `reason`. At first, the
/// message may still be that the database does not answer.
async fn until_unready(system: &TestSystem, reason: &str) {
    let ready = system.url("/health/ready").await;
    eventually("both programs to report that the database is unavailable", async || {
        let (api, page) = system.get(&ready).await;
        let (worker, body) = system.worker_ready(0).await;
        let database = &body["checks"]["database"];
        let has_reason = database["message"].as_str().is_some_and(|message| message.contains(reason));
        let both = api == 503 && worker == 503 && database["setting"] == "DATABASE_URL" && has_reason;
        if both { Ok(()) } else { Err(format!("{page}\n{body}")) }
    })
    .await;
}

/// Waits until both programs are ready, and returns the response to an accepted request.
async fn until_back(system: &TestSystem) -> Answer {
    let ready = system.url("/health/ready").await;
    eventually("both programs to be ready", async || {
        let all = (system.get(&ready).await.0, system.worker_ready(0).await.0);
        if all == (200, 200) { Ok(()) } else { Err(all) }
    })
    .await;
    // A ready api must accept requests.
    let answer = system.ask("after@example.com").await;
    assert_eq!(answer.status, 200);
    answer
}

async fn ask_refused(system: &TestSystem) {
    let refused = system.ask("during@example.com").await;
    assert_eq!((refused.status, &refused.body["code"]), (503, &"unavailable".into()));
    assert!(refused.headers.contains_key("retry-after"));
}

/// Number of lines that contain `text` in the logs of both programs.
fn count_lines(system: &TestSystem, text: &str) -> usize {
    system
        .apis
        .iter()
        .chain(&system.workers)
        .map(|program| program.log().iter().filter(|line| line.contains(text)).count())
        .sum()
}

#[tokio::test]
async fn sessions_opened_on_a_read_only_server_are_replaced() {
    let system = start().await;
    let before = system.ask("before@example.com").await;
    system.until_state(&before, "sent").await;
    change_roles(&system, "set default_transaction_read_only = on").await;
    until_unready(&system, "read-only").await;
    ask_refused(&system).await;

    for role in ["magic_link_api", "magic_link_worker"] {
        system.execute(&format!("alter role {role} reset default_transaction_read_only")).await;
    }
    let after = until_back(&system).await;
    system.until_state(&after, "sent").await;
    assert_eq!(system.mailgun.mails().len(), 2);
    system.finish().await;
}

/// A demoted primary keeps its sessions, but they become read-only.
#[tokio::test]
async fn sessions_that_become_read_only_are_replaced() {
    let system = start().await;
    let before = system.ask("before@example.com").await;
    system.until_state(&before, "sent").await;
    // The test's own sessions stay writable.
    system.execute("alter role postgres set default_transaction_read_only = off").await;
    // Unlike a role's setting, a server setting also affects open sessions.
    system.execute("alter system set default_transaction_read_only = on").await;
    system.execute("select pg_reload_conf()").await;
    until_unready(&system, "read-only").await;
    ask_refused(&system).await;

    system.execute("alter system reset default_transaction_read_only").await;
    system.execute("select pg_reload_conf()").await;
    let after = until_back(&system).await;
    system.until_state(&after, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn a_server_that_refuses_new_sessions_is_reported_as_an_outage_with_the_reason() {
    for (change, undo, reason) in [
        ("nologin", "login", "not permitted to log in"),
        ("connection limit 0", "connection limit -1", "too many connections for role"),
    ] {
        let system = start().await;
        system.mailgun.faults().add(FaultKind::Delay { millis: 1_500 });
        let running = system.ask("running@example.com").await;
        system.mailgun.wait_for_calls(1).await.unwrap();
        // The mail is being sent, but its result cannot be recorded during the outage.
        change_roles(&system, change).await;
        until_unready(&system, reason).await;
        ask_refused(&system).await;

        change_roles(&system, undo).await;
        let after = until_back(&system).await;
        for answer in [&running, &after] {
            system.until_state(answer, "sent").await;
        }
        assert_eq!(system.mailgun.mails().len(), 2, "{change}: one mail per request");
        let lines =
            || (count_lines(&system, "the database is unavailable"), count_lines(&system, "the database is back"));
        eventually(
            "both programs to log the end of the outage",
            async || {
                if lines().1 == 2 { Ok(()) } else { Err(lines()) }
            },
        )
        .await;
        assert_eq!(lines(), (2, 2), "{change}: each program logs the start and the end of the outage once");
        system.finish().await;
    }
}

#[tokio::test]
async fn a_worker_that_cannot_record_results_claims_nothing_and_is_not_ready() {
    let mut system = TestSystem::with(Plan { own_server: true, workers: 0, ..Plan::default() }).await;
    // Two connections are enough for the pool, but too few for the worker's three committers.
    system.execute("alter role magic_link_worker connection limit 2").await;
    system.start_worker().await;
    eventually("the worker to report too few connections", async || {
        let (status, body) = system.worker_ready(0).await;
        let message = body["checks"]["database"]["message"].as_str().unwrap_or_default().to_owned();
        if status == 503 && message.contains("too many connections") { Ok(()) } else { Err(message) }
    })
    .await;
    let answer = system.ask("hello@example.com").await;
    assert_eq!(answer.status, 200);
    assert_eq!(system.job(&answer).await.state, "queued");

    system.execute("alter role magic_link_worker connection limit -1").await;
    system.until_state(&answer, "sent").await;
    assert_eq!(system.scalar::<i16>("select attempt from email_jobs").await, 1);
    system.finish().await;
}

#[tokio::test]
async fn an_outage_longer_than_the_lease_causes_no_duplicate_mail() {
    const PEOPLE: usize = 20;
    let plan = Plan { own_server: true, workers: 2, ..Plan::default() }.worker("LEASE_SECONDS", "5");
    let system = TestSystem::with(plan).await;
    for _ in 0..PEOPLE {
        system.mailgun.faults().add(FaultKind::Delay { millis: 1_500 });
    }
    for number in 0..PEOPLE {
        assert_eq!(system.ask(&format!("person-{number}@example.com")).await.status, 200);
    }
    system.mailgun.wait_for_calls(PEOPLE).await.unwrap();
    change_roles(&system, "nologin").await;
    let leases = "select count(*) from email_jobs_open where lease_expires_at > clock_timestamp()";
    eventually("all leases to expire", async || {
        let held: i64 = system.scalar(leases).await;
        if held == 0 { Ok(()) } else { Err(held) }
    })
    .await;
    change_roles(&system, "login").await;
    system.until_idle().await;
    assert_eq!(system.mailgun.mails().len(), PEOPLE, "no copies");
    assert_eq!(system.scalar::<i16>("select max(attempt) from email_jobs").await, 1);
    system.finish().await;
}

/// The server hangs: new connections get neither a session nor an error.
#[tokio::test]
async fn an_api_that_refuses_requests_is_not_ready_even_while_its_check_hangs() {
    let system = start().await;
    let ready = system.url("/health/ready").await;
    let server = system.server.as_ref().unwrap();
    let mut session = PgConnection::connect(&system.database.url()).await.unwrap();
    server.freeze();
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'magic_link_api'";
    sqlx::raw_sql(cut).execute(&mut session).await.unwrap();
    ask_refused(&system).await;
    let seen = system.get(&ready).await.0;
    server.thaw();
    assert_eq!(seen, 503);
    until_back(&system).await;
    system.finish().await;
}

#[tokio::test]
async fn an_outage_does_not_lower_the_measured_rate_of_the_workers() {
    const PEOPLE: usize = 80;
    /// How long the outage lasts: longer than the period over which a worker measures its rate.
    const AWAY: Duration = Duration::from_secs(11);
    let plan = Plan { own_server: true, ..Plan::default() };
    let plan = plan.api("JOB_DEADLINE", "1m").worker("WORKER_CONCURRENCY", "2");
    let system = TestSystem::with(plan).await;
    // The worker sends about six mails a second, so it can send about 360 mails before the deadline.
    system.mailgun.faults().add(Fault::from(FaultKind::Delay { millis: 300 }).always());
    for number in 0..PEOPLE {
        assert_eq!(system.ask(&format!("person-{number}@example.com")).await.status, 200);
    }
    system.mailgun.wait_for_mails(6).await.unwrap();
    change_roles(&system, "nologin").await;
    // Sleep, because the outage must last for a fixed time.
    tokio::time::sleep(AWAY).await;
    change_roles(&system, "login").await;
    until_back(&system).await;
    let sent = system.mailgun.mails().len();
    let mut number = 0;
    while system.mailgun.mails().len() < sent + 20 {
        let answer = system.ask(&format!("later-{number}@example.com")).await;
        assert_eq!(answer.status, 200, "the workers are fast enough: {:?}", answer.body);
        number += 1;
        // Send ten requests a second. The worker can send only about six mails a second.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    system.finish().await;
}

#[tokio::test]
async fn outdated_programs_do_no_work_and_report_the_reason() {
    let system = start().await;
    let before = system.ask("before@example.com").await;
    system.until_state(&before, "sent").await;
    system.execute("update outbox_schema set worker_from = 9999").await;
    let body = eventually("the worker to become unready", async || {
        let (status, body) = system.worker_ready(0).await;
        if status == 503 { Ok(body) } else { Err(body) }
    })
    .await;
    assert!(body["checks"]["database"]["message"].as_str().unwrap().contains("run the newer version"), "{body}");
    let waiting = system.ask("waiting@example.com").await;
    assert_eq!((waiting.status, system.job(&waiting).await.state.as_str()), (200, "queued"));

    system.execute("update outbox_schema set api_from = 9999").await;
    ask_refused(&system).await;
    until_unready(&system, "run the newer version").await;
    system.execute("update outbox_schema set worker_from = 0, api_from = 0").await;
    let after = until_back(&system).await;
    for answer in [&waiting, &after] {
        system.until_state(answer, "sent").await;
    }
    system.finish().await;
}
