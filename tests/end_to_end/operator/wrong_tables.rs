//! Missing or outdated tables are not logged as a database outage. The log line about them contains the command to run.

use sandbox::{Role, TestDatabase, eventually};
use tests::TestSystem;

use super::{MAX_WAIT, Which, fields, server, start};

const COMMAND: &str = "run this version's `magic-link-worker migrate`";

/// Asserts that both programs report missing or outdated tables, and that they notice when the tables have been fixed.
/// `provide` is the SQL that fixes the tables. If it is empty, `magic-link-worker migrate` fixes them.
async fn assert_reported(database: &TestDatabase, provide: &str) {
    let url = database.url();
    let settings = [("DATABASE_URL", url.as_str()), ("MIGRATE_ON_START", "false")];
    let programs = [start(Which::Api, &settings, &[]).await, start(Which::Worker, &settings, &[]).await];
    for program in &programs {
        let line = program.wait_for_line("the tables do not match this version", MAX_WAIT).await.unwrap();
        assert!(fields(&line)["error"].as_str().unwrap().contains(COMMAND), "{line}");
    }
    let migrate = start(Which::Worker, &[("DATABASE_URL", &url)], &["migrate"]).await;
    if provide.is_empty() {
        assert!(migrate.wait().await.success());
    } else {
        database.execute(provide).await;
    }
    for program in &programs {
        program.wait_for_line("the tables match this version again", MAX_WAIT).await.unwrap();
        assert!(!program.log().concat().contains("the database is unavailable"), "{:?}", program.log());
    }
}

#[tokio::test]
async fn an_empty_database_is_reported_with_the_command_to_run() {
    server().await.create_database("empty").await.unwrap();
    assert_reported(&TestDatabase::at(server().await, "empty"), "").await;
}

#[tokio::test]
async fn tables_from_an_older_version_are_reported_with_the_command_to_run() {
    let database = TestDatabase::new().await;
    let newest = "where version = (select max(version) from _sqlx_migrations)";
    database.execute(&format!("create table taken as select * from _sqlx_migrations {newest}")).await;
    database.execute(&format!("delete from _sqlx_migrations {newest}")).await;
    assert_reported(&database, "insert into _sqlx_migrations select * from taken").await;
}

#[tokio::test]
async fn a_missing_table_is_not_reported_as_an_outage() {
    let system = TestSystem::start().await;
    let worker = &system.workers[0];
    eventually("the worker to be ready", async || if system.worker_ready(0).await.0 == 200 { Ok(()) } else { Err(()) })
        .await;
    system.execute("alter table upstreams rename to elsewhere").await;
    let line = worker.wait_for_line("the tables do not match this version", MAX_WAIT).await.unwrap();
    assert!(fields(&line)["error"].as_str().unwrap().contains(COMMAND), "{line}");
    let (status, body) = system.worker_ready(0).await;
    let message = body["checks"]["database"]["message"].as_str().unwrap_or_default();
    assert!(status == 503 && message.contains(COMMAND), "{body}");
    system.execute("alter table elsewhere rename to upstreams").await;
    worker.wait_for_line("the tables match this version again", MAX_WAIT).await.unwrap();
    assert!(!worker.log().concat().contains("the database is unavailable"));
    let answer = system.ask("hello@example.com").await;
    system.until_state(&answer, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn migrate_works_with_the_owner_role() {
    let server = server().await;
    server.create_database("by_command").await.unwrap();
    server.set_roles("by_command").await.unwrap();
    let url = server.url_as("by_command", Role::Owner);
    let migrate = start(Which::Worker, &[("DATABASE_URL", &url)], &["migrate"]).await;
    assert!(migrate.wait().await.success(), "{:?}", migrate.log());
    assert!(migrate.log().concat().contains("the tables are up to date"));
}
