//! One Postgres server for all tests of a program, with a migrated template to clone each test's database from.

use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::{Durability, Postgres};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "template_house";

/// The address of a migrated database that is nobody else's.
pub(crate) async fn fresh_database() -> String {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let server = SERVER
        .get_or_init(|| async {
            let server = Postgres::start_with(Durability::Off).await.unwrap();
            migrate(&server, TEMPLATE).await;
            server
        })
        .await;
    let name = format!("house_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server.clone_database(TEMPLATE, &name).await.unwrap();
    server.url(&name)
}

/// A server of one's own, with stock durability, and a migrated database in it.
pub(crate) async fn own() -> (Postgres, String) {
    let server = Postgres::start().await.unwrap();
    migrate(&server, "house").await;
    let url = server.url("house");
    (server, url)
}

async fn migrate(server: &Postgres, database: &str) {
    server.create_database(database).await.unwrap();
    let pool = outbox::connect(&server.url(database).into(), 1, "test").unwrap();
    outbox::migrate(&pool).await.unwrap();
    outbox::partitions::make(&pool).await.unwrap();
    // A database that somebody is connected to cannot be cloned.
    pool.close().await;
}
