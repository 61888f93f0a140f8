//! The test harness: a running api with its own database, and a few helpers for requests and queries.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sandbox::{Durability, JobRow, Postgres, Program, Role};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;

use crate::http::{HttpResponse, RawRequest};

pub(crate) const PATH: &str = "/api/auth/send-magic-link";
pub(crate) const PORTAL: &str = "https://portal.example.com";
const TEMPLATE: &str = "template_api";
const PROGRAM: &str = env!("CARGO_BIN_EXE_magic-link-api");
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running api with its own database. Dropping it stops the program.
pub(crate) struct TestApi {
    pub(crate) program: Program,
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
    /// The superuser's URL, for the test's own queries.
    database_url: String,
    name: String,
    // The server stops when its last user is dropped.
    postgres: Arc<Postgres>,
}

impl TestApi {
    /// Starts the api on a migrated database, with generous rate limits and the given settings, and waits until it is
    /// ready.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let postgres = shared_postgres().await;
        let database = format!("api_{}", NAMES.fetch_add(1, Ordering::Relaxed));
        postgres.clone_database(TEMPLATE, &database).await.unwrap();
        let api = Self::start_as(Role::Api, postgres, &database, settings).await;
        api.program.wait_for_line("the tables are ready", TIMEOUT).await.unwrap();
        api
    }

    /// Starts the api on a database that may be unreachable or empty. The api migrates it itself unless
    /// MIGRATE_ON_START is false.
    pub(crate) async fn start_unprepared(postgres: Arc<Postgres>, database: &str, settings: &[(&str, &str)]) -> Self {
        let url = postgres.url(database);
        Self::start_with(&url, postgres, database, settings).await
    }

    async fn start_as(role: Role, postgres: Arc<Postgres>, database: &str, settings: &[(&str, &str)]) -> Self {
        let settings = [&[("MIGRATE_ON_START", "false")], settings].concat();
        Self::start_with(&postgres.url_as(database, role), postgres.clone(), database, &settings).await
    }

    async fn start_with(url: &str, postgres: Arc<Postgres>, database: &str, settings: &[(&str, &str)]) -> Self {
        let mut all = good_settings(url);
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let program = spawn(&all);
        let public = program.address().await.unwrap();
        let line = program.wait_for_line("listening privately", TIMEOUT).await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let private = line["fields"]["address"].as_str().unwrap().parse().unwrap();
        let (database_url, name) = (postgres.url(database), database.to_owned());
        Self { program, public, private, database_url, name, postgres }
    }

    /// Stops the program and starts it again on the same database, with the given settings.
    pub(crate) async fn restart(self, settings: &[(&str, &str)]) -> Self {
        let Self { program, name, postgres, .. } = self;
        drop(program);
        let api = Self::start_as(Role::Api, postgres, &name, settings).await;
        api.program.wait_for_line("the tables are ready", TIMEOUT).await.unwrap();
        api
    }

    /// A pool with the worker's role.
    pub(crate) fn pool(&self) -> outbox::PgPool {
        outbox::connect(&self.postgres.url_as(&self.name, Role::Worker).into(), 4, "test").unwrap()
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

    /// All jobs, in the order of acceptance.
    pub(crate) async fn jobs(&self) -> Vec<JobRow> {
        let pool = outbox::connect(&self.database_url.clone().into(), 1, "test").unwrap();
        JobRow::all(&pool).await
    }

    /// Runs SQL on the api's database as superuser.
    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
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
    [
        ("DATABASE_URL", database_url),
        ("CALLBACK_ORIGINS", "https://portal.example.com,https://*.preview.example.com"),
        ("API_LISTEN", "127.0.0.1:0"),
        ("API_PRIVATE_LISTEN", "127.0.0.1:0"),
        ("DRAIN_SECONDS", "0"),
        ("LOG_FORMAT", "json"),
        ("IP_RATE_LIMIT", "1000000/1s"),
        ("RECIPIENT_RATE_LIMIT", "1000000/1s"),
        ("RECIPIENT_CLIENT_RATE_LIMIT", "1000000/1s"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// One Postgres server for all tests that run at the same time. It stops with the last of them.
async fn shared_postgres() -> Arc<Postgres> {
    static SERVER: Mutex<Weak<Postgres>> = Mutex::const_new(Weak::new());
    let mut server = SERVER.lock().await;
    if let Some(running) = server.upgrade() {
        return running;
    }
    let started = Arc::new(Postgres::start_with(Durability::Off).await.unwrap());
    started.create_outbox(TEMPLATE).await.unwrap();
    *server = Arc::downgrade(&started);
    started
}
