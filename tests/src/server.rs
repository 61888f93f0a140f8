//! One Postgres server for all tests of a test program, with a migrated template from which each test's database is
//! cloned.

use std::sync::atomic::{AtomicU32, Ordering};

use sandbox::{Durability, Postgres, Role, ServerAddress};
use tokio::sync::OnceCell;

const TEMPLATE: &str = "template_outbox";

/// URLs of a database that belongs to one test.
pub struct DatabaseUrls {
    /// For the test itself, as superuser.
    pub admin: String,
    /// For the api.
    pub api: String,
    /// For the workers.
    pub worker: String,
}

impl DatabaseUrls {
    /// URLs of a database on a server, directly or through a proxy.
    #[must_use]
    pub fn of(server: &ServerAddress, database: &str) -> Self {
        Self {
            admin: server.url(database),
            api: server.url_as(database, Role::Api),
            worker: server.url_as(database, Role::Worker),
        }
    }
}

/// Clones a new database with all tables and roles.
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

/// Starts a separate server with stock durability, and creates such a database on it.
pub(crate) async fn own() -> (Postgres, DatabaseUrls) {
    let server = Postgres::start().await.unwrap();
    server.create_outbox("template_system").await.unwrap();
    let addresses = DatabaseUrls::of(&server, "template_system");
    (server, addresses)
}
