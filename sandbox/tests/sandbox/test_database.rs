//! The check for open jobs at the end of a test.

use sandbox::{Durability, Postgres, TestDatabase};

/// Creates a database with this number of open jobs.
async fn with_open_jobs(count: u32) -> TestDatabase {
    let database = TestDatabase::new().await;
    let insert = "insert into email_jobs
                    (id, state, recipient, mailbox, callback_url, deadline_at, request_id, place, seq)
                  select gen_random_uuid(), 'queued', name, name, 'https://example.com/', now() + interval '1 day', 'r', n, n
                  from generate_series(1, ";
    database.execute(&format!("{insert}{count}) as n, concat('person-', n, '@example.com') as name")).await;
    database
}

/// Creates a database without tables on a separate server.
async fn on_own_server() -> TestDatabase {
    let server = Postgres::start_with(Durability::Off).await.unwrap();
    server.create_database("own").await.unwrap();
    TestDatabase::on(server, "own")
}

#[tokio::test]
#[should_panic(expected = "open jobs at the end of the test: 2 instead of 0")]
async fn a_test_that_leaves_jobs_open_fails() {
    with_open_jobs(2).await;
}

#[tokio::test]
#[should_panic(expected = "\n  queued person-1@example.com")]
async fn the_failure_message_lists_the_open_jobs() {
    with_open_jobs(1).await;
}

#[tokio::test]
async fn a_test_may_leave_declared_jobs_open() {
    let database = with_open_jobs(2).await;
    database.expect_open_jobs(2);
}

#[tokio::test]
#[should_panic(expected = "open jobs at the end of the test: 1 instead of 2")]
async fn a_declared_job_that_is_not_open_fails_the_test() {
    with_open_jobs(1).await.expect_open_jobs(2);
}

#[tokio::test]
async fn a_measurement_may_leave_any_number_of_jobs_open() {
    with_open_jobs(3).await.allow_any_open_jobs();
}

#[tokio::test]
#[should_panic(expected = "the first failure")]
async fn the_check_for_open_jobs_does_not_hide_an_earlier_failure() {
    let _database = with_open_jobs(1).await;
    panic!("the first failure");
}

#[tokio::test]
async fn a_database_without_tables_has_no_open_jobs() {
    drop(on_own_server().await);
}

#[tokio::test]
#[should_panic(expected = "call `allow_any_open_jobs`")]
async fn a_test_that_stops_its_server_must_allow_open_jobs() {
    let database = on_own_server().await;
    database.server.as_ref().unwrap().halt().await;
}

#[tokio::test]
async fn a_test_that_allows_open_jobs_may_stop_its_server() {
    let database = on_own_server().await;
    database.server.as_ref().unwrap().halt().await;
    database.allow_any_open_jobs();
}

#[tokio::test]
#[should_panic(expected = "the test ended without calling `finish`")]
async fn a_test_that_does_not_finish_its_harness_fails() {
    drop(TestDatabase::new().await.require_finish());
}
