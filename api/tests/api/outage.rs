//! Postgres away: never a false ok, and back by itself.

use std::sync::Arc;

use sandbox::Postgres;
use serde_json::json;

use crate::harness::{TestApi, eventually};

async fn own_postgres() -> Arc<Postgres> {
    // With stock durability: what was answered 200 must be there after the crash.
    let postgres = Postgres::start().await.unwrap();
    postgres.create_database("outage").await.unwrap();
    Arc::new(postgres)
}

#[tokio::test]
async fn without_postgres_requests_are_refused_and_with_it_they_are_taken_again() {
    let postgres = own_postgres().await;
    let door = TestApi::open_at(postgres.clone(), "outage", &[]).await;
    eventually("ready", async || door.get("/health/ready").await.status == 200).await;
    assert_eq!(door.ask_for("1@example.com").await.status, 200);

    postgres.halt().await;
    let answer = door.ask_for("2@example.com").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"));
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    eventually("not ready", async || door.get("/health/ready").await.status == 503).await;
    let ready = door.get("/health/ready").await;
    assert_eq!(ready.json()["checks"], json!({ "database": "unreachable" }));
    assert_eq!(door.get("/health/live").await.status, 200);

    postgres.resume().await.unwrap();
    eventually("ready again", async || door.get("/health/ready").await.status == 200).await;
    assert_eq!(door.ask_for("3@example.com").await.status, 200);
    let recipients: Vec<String> = door.jobs().await.into_iter().map(|job| job.0).collect();
    assert_eq!(recipients, ["1@example.com", "3@example.com"]);
}

#[tokio::test]
async fn it_starts_without_postgres_and_makes_its_tables_when_it_comes() {
    let postgres = own_postgres().await;
    postgres.halt().await;
    let door = TestApi::open_at(postgres.clone(), "outage", &[]).await;
    assert_eq!(door.ask_for("1@example.com").await.code(), "unavailable");
    assert_eq!(door.get("/health/ready").await.status, 503);
    assert_eq!(door.get("/health/live").await.status, 200);

    postgres.resume().await.unwrap();
    eventually("taken", async || door.ask_for("2@example.com").await.status == 200).await;
    assert_eq!(door.get("/health/ready").await.status, 200);
}

#[tokio::test]
async fn without_its_tables_it_waits_for_whoever_makes_them() {
    let postgres = own_postgres().await;
    let waiting = TestApi::open_at(postgres.clone(), "outage", &[("MIGRATE_ON_START", "false")]).await;
    assert_eq!(waiting.ask_for("1@example.com").await.code(), "unavailable");
    let _maker = TestApi::open_at(postgres, "outage", &[]).await;
    eventually("taken", async || waiting.ask_for("2@example.com").await.status == 200).await;
}

#[tokio::test]
async fn beyond_the_queues_limit_requests_are_refused_until_it_is_shorter() {
    let door = TestApi::open(&[("QUEUE_LIMIT", "1")]).await;
    let mut index = 0;
    eventually("refused", async || {
        index += 1;
        door.ask_for(&format!("{index}@example.com")).await.code() == "unavailable"
    })
    .await;
    door.sql("delete from email_jobs_open").await;
    eventually("taken", async || door.ask_for("one-more@example.com").await.status == 200).await;
}
