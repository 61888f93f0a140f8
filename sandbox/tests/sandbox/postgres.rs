//! Tests of the Postgres server that the sandbox starts.

use sandbox::{Durability, Postgres};
use sqlx::{Connection, Executor, PgConnection};

async fn connect(postgres: &Postgres, database: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect(&postgres.url(database)).await
}

async fn count(postgres: &Postgres, database: &str) -> i64 {
    let mut connection = connect(postgres, database).await.unwrap();
    sqlx::query_scalar("select count(*) from t").fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn databases_can_be_created_cloned_and_dropped_and_survive_a_crash() {
    let postgres = Postgres::start_with(Durability::Stock).await.unwrap();
    postgres.create_database("template").await.unwrap();
    let mut connection = connect(&postgres, "template").await.unwrap();
    connection.execute("create table t as select 1").await.unwrap();
    connection.close().await.unwrap();
    postgres.clone_database("template", "odd \"name").await.unwrap();

    let url = postgres.url("template");
    postgres.restart_hard().await.unwrap();
    assert_eq!(postgres.url("template"), url);
    assert_eq!(count(&postgres, "template").await, 1);

    postgres.halt().await;
    assert!(connect(&postgres, "template").await.is_err());
    postgres.resume().await.unwrap();

    let _in_use = connect(&postgres, "template").await.unwrap();
    postgres.drop_database("template").await.unwrap();
    assert!(connect(&postgres, "template").await.is_err());
    postgres.stop().await;
}

#[tokio::test]
async fn the_server_has_the_settings_for_tests_and_refuses_a_wrong_password() {
    let postgres = Postgres::start_with(Durability::Off).await.unwrap();
    let mut connection = connect(&postgres, "postgres").await.unwrap();
    for (setting, value) in [
        ("timezone", "UTC"),
        ("server_encoding", "UTF8"),
        ("max_connections", "300"),
        ("listen_addresses", "127.0.0.1"),
        ("unix_socket_directories", ""),
        ("fsync", "off"),
    ] {
        let actual: String =
            sqlx::query_scalar("select current_setting($1)").bind(setting).fetch_one(&mut connection).await.unwrap();
        assert_eq!(actual, value, "{setting}");
    }
    let mut url = url::Url::parse(&postgres.url("postgres")).unwrap();
    url.set_password(Some("wrong")).unwrap();
    assert!(PgConnection::connect(url.as_str()).await.is_err());
}

#[tokio::test]
async fn dropping_a_server_kills_it_and_removes_its_data() {
    let postgres = Postgres::start_with(Durability::Off).await.unwrap();
    let mut connection = connect(&postgres, "postgres").await.unwrap();
    let data: String = sqlx::query_scalar("show data_directory").fetch_one(&mut connection).await.unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", postgres.pid()));
    drop(postgres);
    assert!(!std::path::Path::new(&data).exists());
    assert!(!process.exists());
}
