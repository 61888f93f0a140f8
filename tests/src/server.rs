//! One Postgres server for all tests of a program, with a migrated template to clone each test's database from.

use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::{Durability, Postgres, Role, ServerAddress};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "template_house";

/// A database that is nobody else's, as its users see it.
pub struct DatabaseUrls {
    /// For the test itself: the superuser's.
    pub admin: String,
    /// For the api.
    pub api: String,
    /// For the workers.
    pub worker: String,
}

impl DatabaseUrls {
    /// A database of a server, or of a proxy that leads to one.
    #[must_use]
    pub fn of(server: &ServerAddress, database: &str) -> Self {
        Self {
            admin: server.url(database),
            api: server.url_as(database, Role::Api),
            worker: server.url_as(database, Role::Worker),
        }
    }
}

/// A fresh database with all tables and roles.
pub(crate) async fn fresh_database() -> DatabaseUrls {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let server = SERVER
        .get_or_init(|| async {
            let server = Postgres::start_with(Durability::Off).await.unwrap();
            server.create_outbox(TEMPLATE).await.unwrap();
            server
        })
        .await;
    let name = format!("system_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server.clone_database(TEMPLATE, &name).await.unwrap();
    DatabaseUrls::of(server, &name)
}

/// A server of one's own, with stock durability, and such a database in it.
pub(crate) async fn own() -> (Postgres, DatabaseUrls) {
    let server = Postgres::start().await.unwrap();
    server.create_outbox("template_system").await.unwrap();
    let addresses = DatabaseUrls::of(&server, "template_system");
    (server, addresses)
}
