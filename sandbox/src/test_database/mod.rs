//! The database of a single test. All tests with a database use [`TestDatabase`], directly or as part of their harness.
//! It provides the URLs of all roles and the queries that tests need, and fails a test that ends with undeclared open
//! jobs.
#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod open_jobs;
mod queries;
mod shared_server;

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use open_jobs::SeenOpenJobs;
use open_jobs::{ExpectedEnd, assert_open_jobs};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tokio::time::timeout;

use crate::{Postgres, Role, ServerAddress};

/// Maximum number of connections for the test's own queries. Connections are opened when they are needed.
const MAX_CONNECTIONS: u32 = 8;

/// Maximum time for an idle connection to respond. If it takes longer, the connection is replaced.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// A database that belongs to one test. Dropping it counts the open jobs.
///
/// The test fails if it ends with open jobs. A test that leaves jobs open on purpose declares their number with
/// [`expect_open_jobs`](Self::expect_open_jobs). If workers might still be delivering when a test ends, its harness
/// calls [`require_finish`](Self::require_finish) at the start and [`until_open_jobs`](Self::until_open_jobs) in its
/// `finish`.
#[derive(Debug)]
pub struct TestDatabase {
    /// A pool for the test's own queries, as superuser.
    pub admin: PgPool,
    /// The server, if no other test uses it. The test may stop this server.
    pub server: Option<Postgres>,
    address: ServerAddress,
    name: String,
    expected: Mutex<ExpectedEnd>,
}

impl TestDatabase {
    /// Creates a database with all tables and roles on the server that all tests of this process share.
    pub async fn new() -> Self {
        let name = shared_server::clone_template().await;
        Self::at(Self::shared_server().await, &name)
    }

    /// An existing database on a server that no other test uses, so that the test may stop the server.
    pub fn on(server: Postgres, name: &str) -> Self {
        let mut database = Self::at(&server, name);
        database.server = Some(server);
        database
    }

    /// An existing database on any server, directly or through a proxy.
    pub fn at(address: &ServerAddress, name: &str) -> Self {
        let admin = connect(&address.url(name));
        let expected = Mutex::new(ExpectedEnd::OpenJobs(0));
        Self { admin, server: None, address: address.clone(), name: name.to_owned(), expected }
    }

    /// The server that all tests of this process share, for a test that needs an unusual database. The server must not
    /// be stopped.
    pub async fn shared_server() -> &'static Postgres {
        shared_server::shared_server().await
    }

    /// The connection string for the superuser.
    pub fn url(&self) -> String {
        self.address.url(&self.name)
    }

    /// The connection string for one of the roles of `deploy/roles.sql`.
    pub fn url_as(&self, role: Role) -> String {
        self.address.url_as(&self.name, role)
    }

    /// Declares that the test leaves this number of jobs open on purpose.
    pub fn expect_open_jobs(&self, count: i64) {
        self.expect(ExpectedEnd::OpenJobs(count));
    }

    /// Turns off the check for open jobs. Use this for a benchmark or a randomised test, where the number of open jobs
    /// is not known, and for a test that has stopped its server.
    pub fn allow_any_open_jobs(&self) {
        self.expect(ExpectedEnd::AnyOpenJobs);
    }

    /// Fails the test if it ends before it has called `expect_open_jobs` or `allow_any_open_jobs`. Use this in a
    /// harness that waits for its workers in `finish`.
    #[must_use]
    pub fn require_finish(self) -> Self {
        self.expect(ExpectedEnd::Finish);
        self
    }

    fn expect(&self, end: ExpectedEnd) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // A second panic would abort the process, and hide why the test failed.
        if std::thread::panicking() {
            return;
        }
        let expected = *self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        match expected {
            ExpectedEnd::OpenJobs(count) => assert_open_jobs(&self.url(), count),
            ExpectedEnd::AnyOpenJobs => {}
            ExpectedEnd::Finish => panic!("the test ended without calling `finish`"),
        }
    }
}

/// A pool that connects when it is first used. An idle connection to a server that was restarted, or that is no longer
/// the primary, is replaced.
fn connect(url: &str) -> PgPool {
    let options = url.parse::<sqlx::postgres::PgConnectOptions>().unwrap().application_name("test");
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .test_before_acquire(false)
        .before_acquire(|connection, _| {
            Box::pin(async move {
                let is_primary = sqlx::query_scalar("select not pg_is_in_recovery()").fetch_one(connection);
                Ok(matches!(timeout(CHECK_TIMEOUT, is_primary).await, Ok(Ok(true))))
            })
        })
        .connect_lazy_with(options)
}
