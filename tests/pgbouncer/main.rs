//! Tests of both programs behind a connection pooler. Run them with `just pgbouncer-test`. `cargo test --workspace`
//! does not include these tests, because they need PgBouncer.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

use std::{collections::BTreeSet, time::Duration};

use sandbox::{PgBouncer, Program, Programs, Role, eventually, test_settings};

use serde_json::json;
use sqlx::{Connection as _, FromRow, PgConnection, Row as _};
use tests::{Plan, TestSystem};

/// The error that both programs report behind a pooler in transaction or statement mode.
const MESSAGE: &str = "DATABASE_URL points to a connection pooler in transaction or statement mode: set the pooler to \
                       session mode, or connect to Postgres directly";

/// The signing key for the webhooks.
const KEY: &str = "whsec-for-tests-only-0123456789abcdef";

/// Maximum time to wait for a mail.
const MAIL_TIMEOUT: Duration = Duration::from_secs(20);

/// Number of times that each pooler is checked. The result must not depend on whether a pooler happens to return the
/// same session twice. This many checks would reveal such a dependency.
const RUNS: u32 = 20;

/// Session state that the programs set.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, FromRow)]
struct SessionState {
    jit: String,
    enable_seqscan: String,
    statement_timeout: String,
    prepared_statements: i64,
    channels: i64,
}

const SESSION_STATE: &str = "
    select pg_backend_pid() as pid, current_setting('jit') as jit, current_setting('enable_seqscan') as enable_seqscan,
        current_setting('statement_timeout') as statement_timeout,
        (select count(*) from pg_prepared_statements) as prepared_statements,
        (select count(*) from pg_listening_channels()) as channels";

/// The state of a session that no program has used.
fn untouched() -> SessionState {
    SessionState {
        jit: "on".to_owned(),
        enable_seqscan: "on".to_owned(),
        statement_timeout: "0".to_owned(),
        prepared_statements: 0,
        channels: 0,
    }
}

/// Returns a system in which no program has been started yet.
async fn without_programs() -> TestSystem {
    let plan = Plan { own_server: true, apis: 0, workers: 0, ..Plan::default() };
    let plan = plan.api("MIGRATE_ON_START", "true").api("MAILGUN_WEBHOOK_SIGNING_KEY", KEY);
    TestSystem::with(plan.worker("MIGRATE_ON_START", "true")).await
}

/// Checks the pooler as the programs do when they start.
async fn check(system: &TestSystem, pooler: &PgBouncer) -> Result<(), outbox::Error> {
    let pool = outbox::connect(&pooler.url(&system.database.url()).into(), 1, "test").unwrap();
    outbox::check_pooler(&pool).await
}

#[tokio::test]
async fn a_pooler_in_transaction_mode_is_refused_until_it_is_in_session_mode() {
    start_behind_transaction_mode(&[("pool_mode", "transaction"), ("default_pool_size", "1")]).await;
}

#[tokio::test]
async fn a_round_robin_pooler_in_transaction_mode_is_refused_until_it_is_in_session_mode() {
    let settings = [("pool_mode", "transaction"), ("default_pool_size", "3"), ("server_round_robin", "1")];
    start_behind_transaction_mode(&settings).await;
}

async fn start_behind_transaction_mode(settings: &[(&str, &str)]) {
    let mut system = without_programs().await;
    let server = system.server.as_ref().unwrap();
    server.create_database("empty").await.unwrap();
    let direct = server.url("empty");
    let pooler = PgBouncer::start(server, settings).await.unwrap();
    let url = pooler.url(&direct);
    system.connect_through(url.clone(), url.clone());
    system.start_api().await;
    system.start_worker().await;

    until_both_report_it(&system).await;
    assert_eq!(system.ask("early@example.com").await.status, 503);
    assert_eq!(report(&system).await, 503);
    let mut neighbour = PgConnection::connect(&url).await.unwrap();
    let mut admin = PgConnection::connect(&direct).await.unwrap();
    // The programs keep checking the pooler. Their checks must leave no session state behind.
    assert_eq!(states_of_all_sessions(&mut neighbour, &mut admin).await, BTreeSet::from([untouched()]));
    let relations = "select count(*) from pg_class where relnamespace = 'public'::regnamespace";
    let relations: i64 = sqlx::query_scalar(relations).fetch_one(&mut admin).await.unwrap();
    assert_eq!(relations, 0, "nothing was migrated");
    for program in system.apis.iter().chain(&system.workers) {
        let log = program.log();
        let errors: Vec<&String> = log.iter().filter(|line| line.contains(r#""level":"ERROR""#)).collect();
        assert!(errors.len() == 1 && errors[0].contains(MESSAGE), "{log:#?}");
    }

    pooler.reconfigure(&[("pool_mode", "session"), ("default_pool_size", "60")]).unwrap();
    until_ready(&system, true).await;
    assert_eq!(report(&system).await, 200);
    assert_eq!(system.ask("hello@example.com").await.status, 200);
    system.mailgun.wait_for_mail("hello@example.com", MAIL_TIMEOUT).await.unwrap();
    system.finish().await;
}

/// Waits until neither program is ready and the private health checks of both programs contain `MESSAGE` and the name
/// of the setting. Asserts that the public health check does not contain the setting.
async fn until_both_report_it(system: &TestSystem) {
    eventually("both programs to report the pooler", async || {
        let (worker, worker_body) = system.worker_ready(0).await;
        let (api, api_body) = system.api_ready(0).await;
        let both_report_it = [&worker_body, &api_body].into_iter().all(|body| {
            let database = &body["checks"]["database"];
            database["message"] == MESSAGE && database["setting"] == "DATABASE_URL"
        });
        if (worker, api) == (503, 503) && both_report_it { Ok(()) } else { Err(format!("{worker_body}\n{api_body}")) }
    })
    .await;
    let (status, page) = system.get(&system.url("/health/ready").await).await;
    assert!(status == 503 && page.contains("database") && !page.contains("DATABASE_URL"), "{page}");
}

/// Waits until both programs are ready or, if `is_ready` is false, until neither program is ready.
async fn until_ready(system: &TestSystem, is_ready: bool) {
    let ready = system.url("/health/ready").await;
    eventually("the expected readiness of both programs", async || {
        let both = [system.get(&ready).await.0 == 200, system.worker_ready(0).await.0 == 200];
        if both == [is_ready; 2] { Ok(()) } else { Err(both) }
    })
    .await;
}

#[tokio::test]
async fn a_switch_to_transaction_mode_is_noticed_while_the_programs_run() {
    let mut system = without_programs().await;
    let server = system.server.as_ref().unwrap();
    let session_mode = [("pool_mode", "session"), ("default_pool_size", "60")];
    let pooler = PgBouncer::start(server, &session_mode).await.unwrap();
    let url = pooler.url(&system.database.url());
    system.connect_through(url.clone(), url);
    system.start_api().await;
    system.start_worker().await;
    until_ready(&system, true).await;
    assert_eq!(system.ask("before@example.com").await.status, 200);
    system.mailgun.wait_for_mail("before@example.com", MAIL_TIMEOUT).await.unwrap();

    pooler.reconfigure(&[("pool_mode", "transaction"), ("default_pool_size", "60")]).unwrap();
    until_both_report_it(&system).await;

    pooler.reconfigure(&session_mode).unwrap();
    until_ready(&system, true).await;
    assert_eq!(system.ask("after@example.com").await.status, 200);
    system.mailgun.wait_for_mail("after@example.com", MAIL_TIMEOUT).await.unwrap();
    system.finish().await;
}

/// Posts an event as Mailgun does, and returns the status of the response.
async fn report(system: &TestSystem) -> u16 {
    let event = json!({
        "id": "event", "event": "delivered", "timestamp": system.scalar::<f64>("select extract(epoch from now())::float8").await,
        "recipient": "hello@example.com", "message": {"headers": {"message-id": "1@mg.example.com"}},
        "user-variables": {"job_id": "019a0000-0000-7000-8000-000000000001"}, "tags": ["sign-in"], "flags": {"is-test-mode": false},
        "delivery-status": {"code": 250, "message": "OK", "mx-host": "mx.example.com", "attempt-no": 1},
    });
    tests::post_at(&system.url("/api/webhooks/mailgun").await, &sandbox::signed(KEY, &event)).await.status
}

/// Lets `neighbour`, another client of the pooler, use each of the pooler's server sessions. Returns the states of
/// these sessions.
async fn states_of_all_sessions(neighbour: &mut PgConnection, admin: &mut PgConnection) -> BTreeSet<SessionState> {
    let sessions = "
        select pid from pg_stat_activity
        where datname = 'empty' and backend_type = 'client backend' and pid <> pg_backend_pid()";
    let (mut seen, mut states) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..1_000 {
        let row = sqlx::raw_sql(SESSION_STATE).fetch_one(&mut *neighbour).await.unwrap();
        seen.insert(row.get::<i32, _>("pid"));
        states.insert(SessionState::from_row(&row).unwrap());
        let all: Vec<i32> = sqlx::query_scalar(sessions).fetch_all(&mut *admin).await.unwrap();
        if all.iter().all(|pid| seen.contains(pid)) {
            return states;
        }
    }
    panic!("the neighbour got only these sessions: {seen:?}");
}

#[tokio::test]
async fn a_pooler_in_session_mode_is_never_refused() {
    let system = without_programs().await;
    let settings = [("pool_mode", "session"), ("default_pool_size", "3"), ("server_round_robin", "1")];
    let pooler = PgBouncer::start(system.server.as_ref().unwrap(), &settings).await.unwrap();
    for run in 0..RUNS {
        check(&system, &pooler).await.unwrap_or_else(|error| panic!("run {run}: {error}"));
    }
    let direct = outbox::connect(&system.database.url().into(), 1, "test").unwrap();
    for _ in 0..RUNS {
        outbox::check_pooler(&direct).await.unwrap();
    }
    system.finish().await;
}

#[tokio::test]
async fn a_pooler_in_transaction_or_statement_mode_is_always_refused() {
    let system = without_programs().await;
    for (mode, pool_size, round_robin) in [
        ("transaction", "1", "0"),
        ("transaction", "2", "1"),
        ("transaction", "5", "0"),
        ("transaction", "5", "1"),
        ("statement", "1", "0"),
        ("statement", "5", "1"),
    ] {
        let settings = [("pool_mode", mode), ("default_pool_size", pool_size), ("server_round_robin", round_robin)];
        let pooler = PgBouncer::start(system.server.as_ref().unwrap(), &settings).await.unwrap();
        for run in 0..RUNS {
            let error = check(&system, &pooler).await.expect_err(&format!("run {run} with {settings:?}"));
            assert_eq!(error.to_string(), MESSAGE, "{settings:?}");
            assert!(!error.is_outage());
        }
    }
    system.finish().await;
}

/// A pooler keeps its sessions with the server when a client disconnects, and gives them to other clients.
#[tokio::test]
async fn read_only_sessions_kept_by_a_pooler_are_replaced_after_a_failover() {
    let mut system = TestSystem::with(Plan { own_server: true, apis: 0, workers: 0, ..Plan::default() }).await;
    let server = system.server.as_ref().unwrap();
    let pooler = PgBouncer::start(server, &[("pool_mode", "session"), ("default_pool_size", "60")]).await.unwrap();
    let url = |role| pooler.url(&system.database.url_as(role));
    let (api, worker) = (url(Role::Api), url(Role::Worker));
    system.connect_through(api, worker);
    system.start_api().await;
    system.start_worker().await;
    until_ready(&system, true).await;
    // This setting applies to sessions that are opened from now on.
    for role in ["magic_link_api", "magic_link_worker"] {
        system.execute(&format!("alter role {role} set default_transaction_read_only = on")).await;
    }
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity where usename like 'magic_link_%'";
    system.execute(cut).await;
    until_ready(&system, false).await;
    for role in ["magic_link_api", "magic_link_worker"] {
        system.execute(&format!("alter role {role} reset default_transaction_read_only")).await;
    }

    until_ready(&system, true).await;
    let answer = system.ask("hello@example.com").await;
    assert_eq!(answer.status, 200);
    system.until_state(&answer, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn migrate_refuses_a_pooler_in_transaction_mode() {
    let system = without_programs().await;
    let server = system.server.as_ref().unwrap();
    server.create_database("empty").await.unwrap();
    let pooler = PgBouncer::start(server, &[("pool_mode", "transaction")]).await.unwrap();
    let settings = [("DATABASE_URL".to_owned(), pooler.url(&server.url("empty")))];
    let worker = &Programs::build().await.unwrap().worker;
    let migrate = Program::spawn(worker, "migrate", &settings, &["migrate"]).unwrap();
    assert_eq!(migrate.wait().await.code(), Some(1));
    assert!(migrate.log().iter().any(|line| line.contains(MESSAGE)), "{:?}", migrate.log());
    system.finish().await;
}

/// Runs `magic-link-worker check` with this `DATABASE_URL`. Returns its exit code and its lines about Postgres.
async fn check_command(system: &TestSystem, url: &str) -> (Option<i32>, Vec<String>) {
    let settings = test_settings::worker(url, &system.supabase, &system.mailgun);
    let worker = &Programs::build().await.unwrap().worker;
    // No DNS server listens at this address. The test looks only at the results about Postgres.
    let check = Program::spawn(worker, "check", &settings, &["check", "--dns", "127.0.0.1:1"]).unwrap();
    let code = check.wait().await.code();
    (code, check.log().into_iter().filter(|line| line.contains("  postgres.")).collect())
}

#[tokio::test]
async fn the_check_command_reports_the_wrong_pooler_mode_and_leaves_no_session_state() {
    let system = without_programs().await;
    let server = system.server.as_ref().unwrap();
    server.create_database("empty").await.unwrap();
    let direct = server.url("empty");
    let round_robin = [("default_pool_size", "3"), ("server_round_robin", "1")];
    for mode in ["transaction", "statement"] {
        let pooler = PgBouncer::start(server, &[&round_robin[..], &[("pool_mode", mode)]].concat()).await.unwrap();
        let url = pooler.url(&direct);
        let (code, lines) = check_command(&system, &url).await;
        assert_eq!((code, lines.len()), (Some(1), 6), "{lines:#?}");
        assert!(lines[0].starts_with("ok    postgres.connection "), "{lines:#?}");
        let (found, advice) =
            (format!("FAIL  postgres.pooler         {MESSAGE}."), "or switch the pooler to session mode");
        assert!(lines[1].starts_with(&found) && lines[1].ends_with(advice), "{lines:#?}");
        let is_skipped =
            |line: &String| line.starts_with("skip  ") && line.contains("This probe cannot run through a pooler");
        assert!(lines[2..].iter().all(is_skipped), "{lines:#?}");
        let mut neighbour = PgConnection::connect(&url).await.unwrap();
        let mut admin = PgConnection::connect(&direct).await.unwrap();
        assert_eq!(states_of_all_sessions(&mut neighbour, &mut admin).await, BTreeSet::from([untouched()]));
    }
    let session_mode = [("pool_mode", "session"), ("default_pool_size", "60")];
    let pooler = PgBouncer::start(server, &session_mode).await.unwrap();
    let (code, lines) = check_command(&system, &pooler.url(&system.database.url_as(Role::Worker))).await;
    assert!(code == Some(0) && lines.len() == 6 && lines.iter().all(|line| line.starts_with("ok    ")), "{lines:#?}");
    system.finish().await;
}
