//! The test harness: a running api with its own database, and a few helpers for requests and queries.

use std::{net::SocketAddr, ops::Deref, path::Path, sync::Arc, time::Duration};

use sandbox::{Program, Role, TestDatabase, test_settings};
use serde_json::{Value, json};

use crate::http::{HttpResponse, RawRequest};

pub(crate) const PATH: &str = "/api/auth/send-magic-link";
pub(crate) const PORTAL: &str = "https://portal.example.com";
const PROGRAM: &str = env!("CARGO_BIN_EXE_magic-link-api");
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running api with its own database. Dropping it stops the program. No worker runs, so the jobs of accepted requests
/// stay open: a test that leaves open jobs must end with [`expect_open_jobs`](TestDatabase::expect_open_jobs).
pub(crate) struct TestApi {
    pub(crate) program: Program,
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
    // Shared, because a test can run two apis on one database.
    database: Arc<TestDatabase>,
}

impl Deref for TestApi {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

impl TestApi {
    /// Starts the api on a migrated database, with generous rate limits and the given settings, and waits until it is
    /// ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_ready(Arc::new(TestDatabase::new().await), settings).await
    }

    async fn start_ready(database: Arc<TestDatabase>, settings: &[(&str, &str)]) -> Self {
        let url = database.url_as(Role::Api);
        let api = Self::start_with(&url, database, settings).await;
        api.program.wait_for_line("the tables are ready", TIMEOUT).await.unwrap();
        api
    }

    /// Starts the api on a database that may be unreachable or empty. The api migrates the database itself
    /// unless MIGRATE_ON_START is false.
    pub(crate) async fn start_unprepared(database: Arc<TestDatabase>, settings: &[(&str, &str)]) -> Self {
        let settings = [&[("MIGRATE_ON_START", "true")], settings].concat();
        Self::start_with(&database.url(), database, &settings).await
    }

    async fn start_with(url: &str, database: Arc<TestDatabase>, settings: &[(&str, &str)]) -> Self {
        let mut all = good_settings(url);
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let program = spawn(&all);
        let public = program.address().await.unwrap();
        let line = program.wait_for_line("listening privately", TIMEOUT).await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let private = line["fields"]["address"].as_str().unwrap().parse().unwrap();
        Self { program, public, private, database }
    }

    /// Stops the program and starts it again on the same database, with the given settings.
    pub(crate) async fn restart(self, settings: &[(&str, &str)]) -> Self {
        let Self { program, database, .. } = self;
        drop(program);
        Self::start_ready(database, settings).await
    }

    /// A connection pool that uses the worker's role.
    pub(crate) fn pool(&self) -> outbox::PgPool {
        outbox::connect(&self.url_as(Role::Worker).into(), 4, "test").unwrap()
    }

    /// Posts a body to the send-magic-link endpoint, without an `Origin` header.
    pub(crate) async fn post(&self, body: &Value) -> HttpResponse {
        post(body.to_string()).send(self.public).await
    }

    /// Requests a link for an address.
    pub(crate) async fn request_link(&self, email: &str) -> HttpResponse {
        self.post(&json!({ "email": email, "callback_origin": PORTAL })).await
    }

    pub(crate) async fn get(&self, path: &'static str) -> HttpResponse {
        RawRequest::new("GET", path).send(self.public).await
    }
}

/// A POST to the send-magic-link endpoint with a JSON body.
pub(crate) fn post(body: impl Into<Vec<u8>>) -> RawRequest {
    RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(body)
}

/// Starts the program with these settings and no others.
pub(crate) fn spawn(settings: &[(String, String)]) -> Program {
    Program::spawn(Path::new(PROGRAM), "magic-link-api", settings, &[]).unwrap()
}

/// Valid settings with rate limits that no test reaches.
pub(crate) fn good_settings(database_url: &str) -> Vec<(String, String)> {
    let mut settings = test_settings::api(database_url);
    settings.extend(
        [
            ("CALLBACK_ORIGINS", "https://portal.example.com,https://*.preview.example.com"),
            ("TRUSTED_PROXIES", "127.0.0.0/8"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    settings
}
