//! A test's own world: a database cloned from a migrated template, both stand-ins, and workers as processes.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use outbox::{Email, EnqueuePolicy, Enqueued, JobId, NewJob};
use sandbox::{Durability, Mailgun, MailgunSettings, Postgres, Program, Role, SupabaseAuth, SupabaseSettings};
use serde_json::Value;
use sqlx::PgPool;
use tokio::sync::OnceCell;

/// Longer than anything takes that is not broken.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const CALLBACK: &str = "https://example.com/auth/callback?next=%2Fprojects%2F42";

const TEMPLATE: &str = "template_of_tests";

/// Removed when the next test run starts: statics are not dropped.
async fn server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER
        .get_or_init(|| async {
            let server = Postgres::start_with(Durability::Off).await.unwrap();
            server.create_outbox(TEMPLATE).await.unwrap();
            server
        })
        .await
}

/// A test's own world.
pub(crate) struct Bench {
    pub(crate) pool: PgPool,
    pub(crate) supabase: SupabaseAuth,
    pub(crate) mailgun: Mailgun,
    /// The database, for the role that may migrate it.
    pub(crate) owner_url: String,
    settings: Vec<(String, String)>,
}

/// A row of `email_jobs`, as far as tests look.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Job {
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

/// A row of `email_attempts`, as far as tests look.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Attempt {
    pub(crate) step: String,
    pub(crate) outcome: String,
    pub(crate) code: Option<String>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server().await;
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

    /// Changes a setting of the workers that are started from here on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    pub(crate) fn settings(&self) -> &[(String, String)] {
        &self.settings
    }

    pub(crate) fn start_worker(&self) -> Program {
        spawn(&self.settings, &[])
    }

    /// Enqueues a job as the api does.
    pub(crate) async fn enqueue(&self, recipient: &str) -> JobId {
        self.enqueue_to(recipient, CALLBACK).await
    }

    pub(crate) async fn enqueue_to(&self, recipient: &str, callback_url: &str) -> JobId {
        let id = JobId::new();
        let job = NewJob {
            id,
            recipient: Email::parse(recipient).unwrap(),
            callback_url: callback_url.to_owned(),
            client: "192.0.2.1".to_owned(),
            request_id: "a-request".to_owned(),
            traceparent: None,
        };
        let admission = EnqueuePolicy {
            per_recipient: "1000/1m".parse().unwrap(),
            per_recipient_and_client: "1000/1m".parse().unwrap(),
            duplicate_window: Duration::ZERO,
            deadline: Duration::from_secs(900),
        };
        let admitted = outbox::enqueue(&self.pool, &admission, &[job]).await.unwrap();
        assert_eq!(admitted, [Enqueued::Queued]);
        id
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
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

    /// All steps tried for a job, in order.
    pub(crate) async fn attempts(&self, id: JobId) -> Vec<Attempt> {
        sqlx::query_as("select step, outcome, code from email_attempts where job_id = $1 order by started_at")
            .bind(id.0)
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    /// The outcome of each step tried: `generate_link ok, send unknown`.
    pub(crate) async fn story(&self, id: JobId) -> String {
        let attempts = self.attempts(id).await;
        attempts.iter().map(|a| format!("{} {}", a.step, a.outcome)).collect::<Vec<_>>().join(", ")
    }

    /// Waits until a job is as it should be.
    pub(crate) async fn wait_for(&self, id: JobId, wanted: &str, is: impl Fn(&Job) -> bool) -> Job {
        eventually(wanted, async || {
            let job = self.job(id).await;
            if is(&job) { Ok(job) } else { Err(format!("{job:?}, {:?}", self.attempts(id).await)) }
        })
        .await
    }

    pub(crate) async fn wait_for_state(&self, id: JobId, state: &str) -> Job {
        self.wait_for(id, state, |job| job.state == state).await
    }

    /// Makes a waiting job due now, as if its wait were over.
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
pub(crate) async fn ready(worker: &Program) -> (u16, Value) {
    let (status, body) = get(worker, "/health/ready").await;
    (status, serde_json::from_str(&body).unwrap())
}

pub(crate) async fn get(worker: &Program, path: &str) -> (u16, String) {
    // reqwest wants a TLS provider even for http.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = worker.address().await.unwrap();
    let url = format!("http://{address}/").parse().unwrap();
    let client = worker::upstream::http::client(&url, PATIENCE).unwrap();
    let answer = client.get(url.join(path).unwrap()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// Looks again and again until `look` gives something.
pub(crate) async fn eventually<T>(wanted: &str, look: impl AsyncFn() -> Result<T, String>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if tokio::time::Instant::now() > deadline => panic!("never: {wanted}; there is {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// How many lines of a worker's log say this.
pub(crate) fn lines(worker: &Program, part: &str) -> usize {
    worker.log().iter().filter(|line| line.contains(part)).count()
}
