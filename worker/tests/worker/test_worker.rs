//! The test harness: each test has its own database and its own stand-ins for Supabase and Mailgun, and starts workers
//! as processes.

use std::{ops::Deref, time::Duration};

use outbox::{CallbackUrl, Email, EnqueuePolicy, Enqueued, Error, JobId, NewJob, PgPool, ShownHost};
use sandbox::{
    JobRow, Mailgun, MailgunSettings, Program, Role, StepRow, SupabaseAuth, SupabaseSettings, TestDatabase, eventually,
    test_settings,
};
use serde_json::Value;
use worker::settings::ConnectionSettings;

/// Maximum time to wait for an event.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) const CALLBACK_URL: &str = "https://example.com/auth/callback?next=%2Fprojects%2F42";

/// The database, stand-ins and settings of one test. Each test must end by calling one of the methods whose names begin
/// with `finish`.
pub(crate) struct TestWorker {
    pub(crate) supabase: SupabaseAuth,
    pub(crate) mailgun: Mailgun,
    pub(crate) database: TestDatabase,
    /// Connections for enqueuing jobs, with the same session settings as the programs' connections.
    enqueuer: PgPool,
    settings: Vec<(String, String)>,
}

impl Deref for TestWorker {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

impl TestWorker {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let url = database.url_as(Role::Worker);
        Self::on(database, &url).await
    }

    /// Creates a test with the given database, which need not be ready yet. `url` is the workers' connection string.
    pub(crate) async fn on(database: TestDatabase, url: &str) -> Self {
        let database = database.require_finish();
        let supabase = SupabaseAuth::start(SupabaseSettings::default()).await.unwrap();
        let mailgun = Mailgun::start(MailgunSettings::default()).await.unwrap();
        let enqueuer = outbox::connect(&database.url().into(), 4, "test").unwrap();
        let settings = test_settings::worker(url, &supabase, &mailgun);
        let mut test = Self { supabase, mailgun, database, enqueuer, settings };
        test.set("DATABASE_MAX_CONNECTIONS", "4");
        test.set("UPSTREAM_TIMEOUT", "1s");
        test
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
            language: "en".to_owned(),
            time_zone: None,
            portal: None,
            portal_quota: None,
            deadline: None,
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
            match outbox::test_support::enqueue(&self.enqueuer, &policy, std::slice::from_ref(&job)).await {
                Err(Error::Database(sqlx::Error::PoolTimedOut)) if tries < 5 => tries += 1,
                enqueued => break enqueued.unwrap(),
            }
        };
        assert_eq!(enqueued, [Enqueued::Queued]);
        id
    }

    pub(crate) async fn job(&self, id: JobId) -> JobRow {
        self.find(id.0).await.expect("the job exists")
    }

    /// Returns all attempts of a job's steps, in order.
    pub(crate) async fn attempts(&self, id: JobId) -> Vec<StepRow> {
        let mut steps = self.steps().await;
        steps.retain(|step| step.job_id == id.0);
        steps
    }

    /// Returns the outcomes of all attempts of a job's steps, such as `generate_link ok, send unknown`.
    pub(crate) async fn outcomes(&self, id: JobId) -> String {
        let attempts = self.attempts(id).await;
        attempts.iter().map(|a| format!("{} {}", a.step, a.outcome)).collect::<Vec<_>>().join(", ")
    }

    /// Waits until a job's row matches. `expected` describes the row in the panic message.
    pub(crate) async fn wait_for(&self, id: JobId, expected: &str, matches: impl Fn(&JobRow) -> bool) -> JobRow {
        eventually(expected, async || {
            let job = self.job(id).await;
            if matches(&job) { Ok(job) } else { Err((job, self.attempts(id).await)) }
        })
        .await
    }

    pub(crate) async fn wait_for_state(&self, id: JobId, state: &str) -> JobRow {
        self.wait_for(id, state, |job| job.state == state).await
    }

    /// Ends the test. Fails if any job has not ended within 30 seconds.
    pub(crate) async fn finish(self) {
        self.finish_with_open_jobs(0).await;
    }

    /// Ends a test that intentionally leaves `count` jobs open.
    pub(crate) async fn finish_with_open_jobs(self, count: i64) {
        self.until_open_jobs(count).await;
        // The workers are still running and may change the number, so do not check it again.
        self.allow_any_open_jobs();
    }

    /// Removes the faults of both stand-ins, makes all retrying jobs due, and then ends the test like [`Self::finish`].
    pub(crate) async fn finish_without_faults(self) {
        self.supabase.faults().clear();
        self.mailgun.faults().clear();
        let make_due = "update email_jobs_open set run_at = clock_timestamp() where state = 'retrying'";
        self.execute(make_due).await;
        self.finish().await;
    }

    /// Makes a retrying job due now.
    pub(crate) async fn make_due(&self, id: JobId) {
        let make_due = "update email_jobs_open set run_at = clock_timestamp() where state = 'retrying' and id =";
        self.execute(&format!("{make_due} '{id}'")).await;
    }
}

pub(crate) fn spawn(settings: &[(String, String)], arguments: &[&str]) -> Program {
    let path = env!("CARGO_BIN_EXE_magic-link-worker");
    Program::spawn(path.as_ref(), "magic-link-worker", settings, arguments).unwrap()
}

/// Returns the status and body of `/health/ready`.
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

/// Returns the number of lines in a worker's log that contain `part`.
pub(crate) fn count_log_lines(worker: &Program, part: &str) -> usize {
    worker.log().iter().filter(|line| line.contains(part)).count()
}
