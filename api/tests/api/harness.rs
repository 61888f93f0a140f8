//! A door of one's own: the program, its database, and the few verbs that tests use.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sandbox::{Durability, Postgres, Program, Role};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::sync::Mutex;

use crate::http::{HttpAnswer, RawRequest};

pub(crate) const PATH: &str = "/api/auth/send-magic-link";
pub(crate) const PORTAL: &str = "https://portal.example.com";
const TEMPLATE: &str = "template_door";
const PROGRAM: &str = env!("CARGO_BIN_EXE_magic-link-api");
const PATIENCE: Duration = Duration::from_secs(20);

/// A running door.
pub(crate) struct TestApi {
    pub(crate) program: Program,
    pub(crate) public: SocketAddr,
    pub(crate) private: SocketAddr,
    /// For the test itself: the superuser's.
    database_url: String,
    name: String,
    // The last one that uses it stops it.
    postgres: Arc<Postgres>,
}

impl TestApi {
    /// A door with generous limits and these settings besides, its tables ready.
    pub(crate) async fn open(settings: &[(&str, &str)]) -> Self {
        static NAMES: AtomicU32 = AtomicU32::new(0);
        let postgres = shared_postgres().await;
        let database = format!("door_{}", NAMES.fetch_add(1, Ordering::Relaxed));
        postgres.clone_database(TEMPLATE, &database).await.unwrap();
        let door = Self::open_as(Role::Api, postgres, &database, settings).await;
        door.program.wait_for_line("the tables are ready", PATIENCE).await.unwrap();
        door
    }

    /// A door to this database, which may be away, or empty: it makes its tables itself.
    pub(crate) async fn open_at(postgres: Arc<Postgres>, database: &str, settings: &[(&str, &str)]) -> Self {
        let url = postgres.url(database);
        Self::open_to(&url, postgres, database, settings).await
    }

    async fn open_as(role: Role, postgres: Arc<Postgres>, database: &str, settings: &[(&str, &str)]) -> Self {
        let settings = [&[("MIGRATE_ON_START", "false")], settings].concat();
        Self::open_to(&postgres.url_as(database, role), postgres.clone(), database, &settings).await
    }

    async fn open_to(url: &str, postgres: Arc<Postgres>, database: &str, settings: &[(&str, &str)]) -> Self {
        let mut all = good_settings(url);
        all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let program = spawn(&all);
        let public = program.address().await.unwrap();
        let line = program.wait_for_line("listening privately", PATIENCE).await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let private = line["fields"]["address"].as_str().unwrap().parse().unwrap();
        let (database_url, name) = (postgres.url(database), database.to_owned());
        Self { program, public, private, database_url, name, postgres }
    }

    /// The same database behind another run of the program.
    pub(crate) async fn restart(self, settings: &[(&str, &str)]) -> Self {
        let Self { program, name, postgres, .. } = self;
        drop(program);
        let door = Self::open_as(Role::Api, postgres, &name, settings).await;
        door.program.wait_for_line("the tables are ready", PATIENCE).await.unwrap();
        door
    }

    /// The door's database, as a worker sees it.
    pub(crate) fn pool(&self) -> outbox::PgPool {
        outbox::connect(&self.postgres.url_as(&self.name, Role::Worker).into(), 4, "test").unwrap()
    }

    /// Posts a body as a back end does.
    pub(crate) async fn post(&self, body: &Value) -> HttpAnswer {
        post(body.to_string()).send(self.public).await
    }

    /// Asks for a link for this address.
    pub(crate) async fn ask_for(&self, email: &str) -> HttpAnswer {
        self.post(&json!({ "email": email, "callback_origin": PORTAL })).await
    }

    pub(crate) async fn get(&self, path: &'static str) -> HttpAnswer {
        RawRequest::new("GET", path).send(self.public).await
    }

    /// Recipient, callback URL and request id of every job, in their order.
    pub(crate) async fn jobs(&self) -> Vec<(String, String, String)> {
        let mut connection = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::query_as("select recipient, callback_url, request_id from email_jobs order by seq")
            .fetch_all(&mut connection)
            .await
            .unwrap()
    }

    /// Runs SQL on the door's database.
    pub(crate) async fn sql(&self, statement: &'static str) {
        let mut connection = PgConnection::connect(&self.database_url).await.unwrap();
        sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    }
}

/// A request to the endpoint with a JSON body.
pub(crate) fn post(body: impl Into<Vec<u8>>) -> RawRequest {
    RawRequest::new("POST", PATH).header("Content-Type", "application/json").body(body)
}

/// The program with these settings and no others.
pub(crate) fn spawn(settings: &[(String, String)]) -> Program {
    Program::spawn(Path::new(PROGRAM), "magic-link-api", settings, &[]).unwrap()
}

/// Settings with which it starts, and refuses nobody for asking often.
pub(crate) fn good_settings(database_url: &str) -> Vec<(String, String)> {
    [
        ("DATABASE_URL", database_url),
        ("CALLBACK_ORIGINS", "https://portal.example.com,https://*.preview.example.com"),
        ("API_LISTEN", "127.0.0.1:0"),
        ("API_PRIVATE_LISTEN", "127.0.0.1:0"),
        ("LOG_FORMAT", "json"),
        ("IP_RATE_LIMIT", "1000000/1s"),
        ("RECIPIENT_RATE_LIMIT", "1000000/1s"),
        ("RECIPIENT_CLIENT_RATE_LIMIT", "1000000/1s"),
        ("TRUSTED_PROXIES", "127.0.0.0/8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Tries until it is so. For what a background task of the program notices by itself.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let tries = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, tries).await.unwrap_or_else(|_| panic!("never came true: {what}"));
}

/// One server for all tests that run at the same time; it goes when the last of them has ended.
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
