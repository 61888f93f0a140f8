//! The test harness: each test has its own database, cloned from a migrated template, its own stand-ins for Supabase and
//! Mailgun, and starts workers as processes.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use outbox::{CallbackUrl, Email, EnqueuePolicy, Enqueued, Error, JobId, NewJob, ShownHost};
use sandbox::{Durability, Mailgun, MailgunSettings, Postgres, Program, Role, SupabaseAuth, SupabaseSettings};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::OnceCell;
use worker::settings::ConnectionSettings;

/// Maximum time to wait for an event.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const CALLBACK_URL: &str = "https://example.com/auth/callback?next=%2Fprojects%2F42";

const TEMPLATE: &str = "template_of_tests";

/// The Postgres server that all tests share. Statics are never dropped, so the next test run deletes the server's files.
async fn shared_server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = Postgres::start_with(Durability::Off).await.unwrap();
            server.create_outbox(TEMPLATE).await.unwrap();
            server
        })
        .await
}

/// The database, stand-ins and settings of one test.
pub(crate) struct TestWorker {
    pub(crate) pool: PgPool,
    pub(crate) supabase: SupabaseAuth,
    pub(crate) mailgun: Mailgun,
    /// The URL of the database for the role that may migrate it.
    pub(crate) owner_url: String,
    settings: Vec<(String, String)>,
}

/// The columns of `email_jobs` that tests read.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct JobRow {
    pub(crate) state: String,
    pub(crate) attempt: i16,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) message_id: Option<String>,
    pub(crate) has_link: bool,
    pub(crate) worker: Option<String>,
    /// Seconds until `run_at`.
    pub(crate) due_in: f64,
}

/// The columns of `email_attempts` that tests read.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct AttemptRow {
    pub(crate) step: String,
    pub(crate) outcome: String,
    pub(crate) code: Option<String>,
}

impl TestWorker {
    pub(crate) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = shared_server().await;
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server.clone_database(TEMPLATE, &name).await.unwrap();
        let url = server.url_as(&name, Role::Worker);
        let supabase = SupabaseAuth::start(SupabaseSettings::default()).await.unwrap();
        let mailgun = Mailgun::start(MailgunSettings::default()).await.unwrap();
        let settings = [
            ("DATABASE_URL", url.as_str()),
            ("MIGRATE_ON_START", "false"),
            ("DATABASE_MAX_CONNECTIONS", "4"),
            ("LOG_FORMAT", "json"),
            ("RUST_LOG", "debug"),
            ("WORKER_LISTEN", "127.0.0.1:0"),
            ("SUPABASE_URL", &supabase.url()),
            ("SUPABASE_SERVICE_ROLE_KEY", "sandbox-service-role-key"),
            ("MAILGUN_BASE_URL", &mailgun.url()),
            ("MAILGUN_DOMAIN", "mg.example.com"),
            ("MAILGUN_API_KEY", "key-sandbox"),
            ("MAIL_FROM", "Example Portal <sign-in@mg.example.com>"),
            ("LINK_SEALING_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("UPSTREAM_TIMEOUT", "1s"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
        let pool = outbox::connect(&server.url(&name).into(), 4, "test").unwrap();
        Self { pool, supabase, mailgun, owner_url: server.url_as(&name, Role::Owner), settings }
    }

    /// Changes a setting of all workers that start after this call.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(existing, _)| existing != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    pub(crate) fn start_worker(&self) -> Program {
        spawn(&self.settings, &[])
    }

    /// Enqueues a job with the same statement as the api.
    pub(crate) async fn enqueue(&self, recipient: &str) -> JobId {
        self.enqueue_to(recipient, CALLBACK_URL).await
    }

    pub(crate) async fn enqueue_to(&self, recipient: &str, callback_url: &str) -> JobId {
        let id = JobId::new();
        let job = NewJob {
            id,
            recipient: Email::parse(recipient).unwrap(),
            callback_url: CallbackUrl::parse(callback_url).unwrap(),
            shown_host: ShownHost::parse("example.com").unwrap(),
            client: "192.0.2.1".to_owned(),
            request_id: "a-request".to_owned(),
            traceparent: None,
        };
        let policy = EnqueuePolicy {
            per_recipient: "1000/1m".parse().unwrap(),
            per_recipient_and_client: "1000/1m".parse().unwrap(),
            duplicate_window: Duration::ZERO,
            deadline: Duration::from_secs(900),
        };
        // On a busy machine, opening a connection may take longer than the pool's timeout.
        let mut tries = 0;
        let enqueued = loop {
            match outbox::test_support::enqueue(&self.pool, &policy, std::slice::from_ref(&job)).await {
                Err(Error::Database(sqlx::Error::PoolTimedOut)) if tries < 5 => tries += 1,
                enqueued => break enqueued.unwrap(),
            }
        };
        assert_eq!(enqueued, [Enqueued::Queued]);
        id
    }

    pub(crate) async fn job(&self, id: JobId) -> JobRow {
        sqlx::query_as(
            "select state, attempt, code, message, message_id, sealed_link is not null as has_link, worker,
               extract(epoch from run_at - clock_timestamp())::float8 as due_in
             from email_jobs where id = $1",
        )
        .bind(id.0)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// All attempts of a job's steps, in order.
    pub(crate) async fn attempts(&self, id: JobId) -> Vec<AttemptRow> {
        sqlx::query_as("select step, outcome, code from email_attempts where job_id = $1 order by started_at")
            .bind(id.0)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// The outcomes of all attempts of a job's steps, such as `generate_link ok, send unknown`.
    pub(crate) async fn outcomes(&self, id: JobId) -> String {
        let attempts = self.attempts(id).await;
        attempts.iter().map(|a| format!("{} {}", a.step, a.outcome)).collect::<Vec<_>>().join(", ")
    }

    /// Waits until a job's row matches. `expected` describes the row in the panic message.
    pub(crate) async fn wait_for(&self, id: JobId, expected: &str, matches: impl Fn(&JobRow) -> bool) -> JobRow {
        eventually(expected, async || {
            let job = self.job(id).await;
            if matches(&job) { Ok(job) } else { Err(format!("{job:?}, {:?}", self.attempts(id).await)) }
        })
        .await
    }

    pub(crate) async fn wait_for_state(&self, id: JobId, state: &str) -> JobRow {
        self.wait_for(id, state, |job| job.state == state).await
    }

    /// Makes a retrying job due now.
    pub(crate) async fn make_due(&self, id: JobId) {
        sqlx::query("update email_jobs_open set run_at = clock_timestamp() where id = $1 and state = 'retrying'")
            .bind(id.0)
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

pub(crate) fn spawn(settings: &[(String, String)], arguments: &[&str]) -> Program {
    let path = env!("CARGO_BIN_EXE_magic-link-worker");
    Program::spawn(path.as_ref(), "magic-link-worker", settings, arguments).unwrap()
}

/// The status and body of `/health/ready`.
pub(crate) async fn get_ready(worker: &Program) -> (u16, Value) {
    let (status, body) = http_get(worker, "/health/ready").await;
    (status, serde_json::from_str(&body).unwrap())
}

pub(crate) async fn http_get(worker: &Program, path: &str) -> (u16, String) {
    // reqwest needs a TLS provider even for http.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = worker.address().await.unwrap();
    let url = format!("http://{address}/").parse().unwrap();
    let client = worker::upstream::http::client(&url, &ConnectionSettings::default(), TIMEOUT).unwrap();
    let response = client.get(url.join(path).unwrap()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// Calls `check` every 10 ms until it returns `Ok`. Panics after [`TIMEOUT`] with `expected` and the last `Err`.
pub(crate) async fn eventually<T>(expected: &str, check: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        match check().await {
            Ok(found) => return found,
            Err(seen) if tokio::time::Instant::now() > deadline => {
                panic!("timed out waiting for {expected}; last seen: {seen}")
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// How many lines of a worker's log contain `part`.
pub(crate) fn count_log_lines(worker: &Program, part: &str) -> usize {
    worker.log().iter().filter(|line| line.contains(part)).count()
}
