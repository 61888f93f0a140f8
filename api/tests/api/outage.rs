//! While Postgres is unreachable, the api never answers 200 without a stored job. Afterwards, the api recovers without
//! a restart.

use std::sync::Arc;

use sandbox::{Postgres, TestDatabase, eventually};
use serde_json::json;

use crate::harness::TestApi;

/// An empty database on its own Postgres server.
async fn own_database() -> Arc<TestDatabase> {
    // This server keeps Postgres's default durability settings, because jobs whose requests were answered with 200 must
    // survive the crash.
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database("outage").await.unwrap();
    Arc::new(TestDatabase::on(postgres, "outage"))
}

#[tokio::test]
async fn requests_are_rejected_while_postgres_is_down_and_accepted_afterwards() {
    let database = own_database().await;
    let postgres = database.server.as_ref().unwrap();
    let api = TestApi::start_unprepared(database.clone(), &[]).await;
    eventually("ready", async || api.get("/health/ready").await.with_status(200)).await;
    assert_eq!(api.request_link("1@example.com").await.status, 200);

    postgres.halt().await;
    let response = api.request_link("2@example.com").await;
    assert_eq!((response.status, response.code().as_str()), (503, "unavailable"));
    let wait: u64 = response.header("retry-after").unwrap().parse().unwrap();
    assert!(wait >= 1);
    assert_eq!(response.json()["retryAfter"], wait);
    eventually("not ready", async || api.get("/health/ready").await.with_status(503)).await;
    let ready = api.get("/health/ready").await;
    assert_eq!(ready.json()["checks"], json!({ "database": "unreachable" }));
    assert_eq!(api.get("/health/live").await.status, 200);

    postgres.resume().await.unwrap();
    eventually("ready again", async || api.get("/health/ready").await.with_status(200)).await;
    assert_eq!(api.request_link("3@example.com").await.status, 200);
    let recipients: Vec<String> = api.jobs().await.into_iter().map(|job| job.recipient).collect();
    assert_eq!(recipients, ["1@example.com", "3@example.com"]);
    api.expect_open_jobs(2);
}

#[tokio::test]
async fn the_api_starts_without_postgres_and_migrates_the_database_later() {
    let database = own_database().await;
    let postgres = database.server.as_ref().unwrap();
    postgres.halt().await;
    let api = TestApi::start_unprepared(database.clone(), &[]).await;
    assert_eq!(api.request_link("1@example.com").await.code(), "unavailable");
    assert_eq!(api.get("/health/ready").await.status, 503);
    assert_eq!(api.get("/health/live").await.status, 200);

    postgres.resume().await.unwrap();
    eventually("accepted", async || api.request_link("2@example.com").await.with_status(200)).await;
    assert_eq!(api.get("/health/ready").await.status, 200);
    api.expect_open_jobs(1);
}

#[tokio::test]
async fn without_migrate_on_start_the_api_waits_for_another_program_to_migrate() {
    let database = own_database().await;
    let waiting = TestApi::start_unprepared(database.clone(), &[("MIGRATE_ON_START", "false")]).await;
    assert_eq!(waiting.request_link("1@example.com").await.code(), "unavailable");
    let _migrating = TestApi::start_unprepared(database, &[]).await;
    eventually("accepted", async || waiting.request_link("2@example.com").await.with_status(200)).await;
    waiting.expect_open_jobs(1);
}

#[tokio::test]
async fn requests_are_rejected_while_the_queue_is_over_its_limit() {
    let api = TestApi::start(&[("QUEUE_LIMIT", "1")]).await;
    let mut index = 0;
    let rejected = eventually("rejected", async || {
        index += 1;
        api.request_link(&format!("{index}@example.com")).await.with_status(503)
    })
    .await;
    assert_eq!(rejected.code(), "unavailable");
    api.execute("delete from email_jobs_open").await;
    eventually("accepted", async || api.request_link("one-more@example.com").await.with_status(200)).await;
    api.expect_open_jobs(1);
}
