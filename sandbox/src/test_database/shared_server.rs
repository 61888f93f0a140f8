//! The Postgres server that all tests of a process share, with a template that is migrated once. Each test's database
//! is a clone of the template, because cloning takes a fraction of the time of a migration.
//!
//! The server is a static: it runs until the process ends. (If it stopped with its last user instead, tests that run
//! one after another would each start a server.) Statics are never dropped, so the server does not clean up after
//! itself: the kernel stops it when the process ends, and the next server that is started removes its folder.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio::sync::OnceCell;

use crate::{Durability, Postgres};

const TEMPLATE: &str = "template_outbox";

/// The server, started by the first caller. Nothing is flushed to disk, so the server must not be stopped and started
/// again.
pub(super) async fn shared_server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = Postgres::start_with(Durability::Off).await.unwrap();
            server.create_outbox(TEMPLATE).await.unwrap();
            server
        })
        .await
}

/// Clones the template, and returns the name of the new database.
pub(super) async fn clone_template() -> String {
    static DATABASES: AtomicU32 = AtomicU32::new(0);
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    shared_server().await.clone_database(TEMPLATE, &name).await.unwrap();
    name
}
