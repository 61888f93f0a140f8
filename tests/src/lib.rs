//! The whole system for a test: the real programs with their own database and stand-ins for the upstreams.
//!
//! [`TestSystem::start`] starts the system. A test posts requests, reads the mailbox and queries the tables. At the
//! end, the test calls [`TestSystem::finish`], which fails if jobs are left open. Dropping the system stops every
//! process.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic fails the test")]

pub mod record;
pub mod settings;

use std::{
    fmt::{self, Debug, Formatter},
    ops::Deref,
    path::Path,
    time::Duration,
};

use reqwest::{Client, header::HeaderMap};
use sandbox::{
    JobRow, Mailgun, MailgunSettings, Postgres, Program, Programs, Role, SupabaseAuth, SupabaseSettings, TestDatabase,
    eventually, test_settings,
};
use serde_json::{Value, json};

/// Maximum time to wait for a log line.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The `CONFIRM_KEY` in a [`Plan`] with the confirm page: 32 bytes, each of them 0x01, in base64.
pub const CONFIRM_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Settings that differ from the tests' defaults, and the numbers of apis and workers to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Settings of the api.
    pub api: Vec<(&'static str, String)>,
    /// Settings of the workers.
    pub worker: Vec<(&'static str, String)>,
    /// Settings of the stand-in for Supabase Auth.
    pub supabase: SupabaseSettings,
    /// Settings of the stand-in for Mailgun.
    pub mailgun: MailgunSettings,
    /// Number of api replicas.
    pub apis: usize,
    /// Number of workers to start with the system.
    pub workers: usize,
    /// Whether the system has its own Postgres server, which a test can stop.
    pub own_server: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            api: vec![],
            worker: vec![],
            supabase: SupabaseSettings::default(),
            mailgun: MailgunSettings::default(),
            apis: 1,
            workers: 1,
            own_server: false,
        }
    }
}

impl Plan {
    /// Adds a setting for the api.
    #[must_use]
    pub fn api(mut self, name: &'static str, value: &str) -> Self {
        self.api.push((name, value.to_owned()));
        self
    }

    /// Adds the settings for the confirm page. The port on which the api listens is chosen now, because both programs
    /// need the api's address as `PUBLIC_URL`.
    #[must_use]
    pub fn with_confirm_page(self) -> Self {
        let address = format!("127.0.0.1:{}", sandbox::free_port().unwrap());
        self.api("API_LISTEN", &address).with_public_url(&format!("http://{address}"))
    }

    /// Adds the settings for a confirm page at `url`. No server needs to listen at this URL.
    #[must_use]
    pub fn with_public_url(self, url: &str) -> Self {
        let plan = self.api("PUBLIC_URL", url).api("CONFIRM_KEY", CONFIRM_KEY);
        plan.worker("PUBLIC_URL", url).worker("CONFIRM_KEY", CONFIRM_KEY)
    }

    /// Makes both programs use the portals in `file` (`PORTALS_FILE`) instead of a single portal.
    #[must_use]
    pub fn with_portals(self, file: &Path) -> Self {
        let file = file.to_str().unwrap();
        self.api("CALLBACK_ORIGINS", "").api("PORTALS_FILE", file).worker("PORTALS_FILE", file)
    }

    /// Adds a one-time code to each mail. The code has ten digits.
    #[must_use]
    pub fn with_code(mut self) -> Self {
        self.supabase.otp_length = 10;
        self.worker("MAIL_CODE", "on")
    }

    /// Adds a setting for the workers.
    #[must_use]
    pub fn worker(mut self, name: &'static str, value: &str) -> Self {
        self.worker.push((name, value.to_owned()));
        self
    }
}

/// A response from the api.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. Null if it is not JSON.
    pub body: Value,
    /// The request's id, which is also stored with the request's job.
    pub request_id: String,
}

/// The running system.
pub struct TestSystem {
    /// The api replicas.
    pub apis: Vec<Program>,
    /// The workers.
    pub workers: Vec<Program>,
    /// The stand-in for Supabase Auth.
    pub supabase: SupabaseAuth,
    /// The stand-in for Mailgun.
    pub mailgun: Mailgun,
    /// The database.
    pub database: TestDatabase,
    /// `DATABASE_URL` for the apis.
    api_url: String,
    /// `DATABASE_URL` for the workers.
    worker_url: String,
    plan: Plan,
}

impl Deref for TestSystem {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

impl TestSystem {
    /// Starts one api and one worker with the default settings.
    pub async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    /// Starts a system as `plan` describes.
    pub async fn with(plan: Plan) -> Self {
        let database = if plan.own_server { own_server().await } else { TestDatabase::new().await };
        Self::with_database(database, plan).await
    }

    /// Starts a system as `plan` describes, on an existing database.
    pub async fn with_database(database: TestDatabase, plan: Plan) -> Self {
        let mut system = Self {
            apis: vec![],
            workers: vec![],
            supabase: SupabaseAuth::start(plan.supabase.clone()).await.unwrap(),
            mailgun: Mailgun::start(plan.mailgun.clone()).await.unwrap(),
            api_url: database.url_as(Role::Api),
            worker_url: database.url_as(Role::Worker),
            database: database.require_finish(),
            plan,
        };
        for _ in 0..system.plan.apis {
            system.start_api().await;
            system.until_api_is_ready().await;
        }
        for _ in 0..system.plan.workers {
            system.start_worker().await;
        }
        system
    }

    /// Changes `DATABASE_URL` for programs that are started from now on. The test itself keeps its pool.
    pub fn connect_through(&mut self, api: String, worker: String) {
        self.api_url = api;
        self.worker_url = worker;
    }

    /// Adds a setting for workers that are started from now on.
    pub fn set_worker(&mut self, name: &'static str, value: &str) {
        self.plan.worker.push((name, value.to_owned()));
    }

    /// Starts another api.
    pub async fn start_api(&mut self) {
        let settings = changed(test_settings::api(&self.api_url), &self.plan.api);
        let program = Program::spawn(&Programs::build().await.unwrap().api, "api", &settings, &[]).unwrap();
        program.address().await.unwrap();
        self.apis.push(program);
    }

    /// Waits until the newest api is ready. Until then, the api responds with 503.
    async fn until_api_is_ready(&self) {
        let address = self.apis[self.apis.len() - 1].address().await.unwrap();
        let url = format!("http://{address}/health/ready");
        eventually("the api to be ready", async || match self.get(&url).await {
            (200, _) => Ok(()),
            (_, body) => Err(body),
        })
        .await;
    }

    /// Starts another worker.
    pub async fn start_worker(&mut self) {
        let settings = test_settings::worker(&self.worker_url, &self.supabase, &self.mailgun);
        let settings = changed(settings, &self.plan.worker);
        let program = Program::spawn(&Programs::build().await.unwrap().worker, "worker", &settings, &[]).unwrap();
        program.address().await.unwrap();
        self.workers.push(program);
    }

    /// Runs a command of the worker, such as `upstreams`, and returns what it printed.
    pub async fn worker_command(&self, arguments: &[&str]) -> Vec<String> {
        let settings = [("DATABASE_URL".to_owned(), self.worker_url.clone())];
        let worker = &Programs::build().await.unwrap().worker;
        let command = Program::spawn(worker, "worker command", &settings, arguments).unwrap();
        assert!(command.wait().await.success(), "{arguments:?}: {:?}", command.log());
        command.log()
    }

    /// Returns the URL of a path on the first api.
    pub async fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.apis[0].address().await.unwrap())
    }

    /// Requests a link for `email`, with the callback from the published example.
    pub async fn ask(&self, email: &str) -> Answer {
        self.post(&example(email)).await
    }

    /// Requests a link that leads to `page`. Two requests for different pages do not count as a double click.
    pub async fn ask_for(&self, email: &str, page: &str) -> Answer {
        let mut body = example(email);
        body["callback_next"] = page.into();
        self.post(&body).await
    }

    /// Posts `body` to the first api as a request for a link.
    pub async fn post(&self, body: &Value) -> Answer {
        self.post_to(0, body).await
    }

    /// Posts `body` to one of the apis as a request for a link.
    pub async fn post_to(&self, api: usize, body: &Value) -> Answer {
        let address = self.apis[api].address().await.unwrap();
        post_at(&format!("http://{address}/api/auth/send-magic-link"), body).await
    }

    /// Gets a page, and returns its status and text.
    pub async fn get(&self, url: &str) -> (u16, String) {
        get_at(url).await
    }

    /// Returns the status and the body of a worker's `/health/ready`.
    pub async fn worker_ready(&self, worker: usize) -> (u16, Value) {
        let address = self.workers[worker].address().await.unwrap();
        let (status, body) = self.get(&format!("http://{address}/health/ready")).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Returns the metrics of a worker.
    pub async fn worker_metrics(&self, worker: usize) -> String {
        let address = self.workers[worker].address().await.unwrap();
        self.get(&format!("http://{address}/metrics")).await.1
    }

    /// Returns the status and the body of `/health/ready` on an api's private listener.
    pub async fn api_ready(&self, api: usize) -> (u16, Value) {
        let (status, body) = self.get(&self.private_url(api, "/health/ready").await).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Returns the URL of a path on an api's private listener.
    pub async fn private_url(&self, api: usize, path: &str) -> String {
        let line = self.apis[api].wait_for_line("listening privately", TIMEOUT).await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        format!("http://{}{path}", line["fields"]["address"].as_str().unwrap())
    }

    /// Returns the job of a request, or `None` if the request has no job.
    pub async fn find_job(&self, answer: &Answer) -> Option<JobRow> {
        self.find_by_request(&answer.request_id).await
    }

    /// Returns the job of a request. Panics if the request has no job.
    pub async fn job(&self, answer: &Answer) -> JobRow {
        self.find_job(answer).await.unwrap_or_else(|| panic!("the request has no job: {answer:?}"))
    }

    /// Waits until a request's job is in `state`, and returns the job.
    pub async fn until_state(&self, answer: &Answer, state: &str) -> JobRow {
        eventually(&format!("the job to be {state}"), async || match self.find_job(answer).await {
            Some(job) if job.state == state => Ok(job),
            job => Err(self.seen(job)),
        })
        .await
    }

    /// Waits until the delivery status of a request's mail is `delivery`, and returns the request's job.
    pub async fn until_delivery(&self, answer: &Answer, delivery: &str) -> JobRow {
        eventually(&format!("the delivery to be {delivery}"), async || match self.find_job(answer).await {
            Some(job) if job.delivery.as_deref() == Some(delivery) => Ok(job),
            job => Err(self.seen(job)),
        })
        .await
    }

    /// Waits until no job is open.
    pub async fn until_idle(&self) {
        self.until_open(0).await;
    }

    /// Waits until exactly `count` jobs are open.
    async fn until_open(&self, count: i64) {
        eventually(&format!("{count} open jobs"), async || {
            self.check_open_jobs(count).await.map_err(|open| self.seen(open))
        })
        .await;
    }

    /// Ends the test. Fails if a job is still open after 30 seconds.
    pub async fn finish(self) {
        self.finish_with_open_jobs(0).await;
    }

    /// Ends a test that deliberately leaves `count` jobs open.
    pub async fn finish_with_open_jobs(self, count: i64) {
        self.until_open(count).await;
        // Do not count the open jobs a second time when the test ends, because the workers are still running.
        self.allow_any_open_jobs();
    }

    /// Ends a test, even if jobs are open.
    pub fn finish_with_any_jobs(self) {
        self.allow_any_open_jobs();
    }

    fn seen<T: Debug>(&self, seen: T) -> SeenWithLogs<'_, T> {
        SeenWithLogs { seen, workers: &self.workers }
    }
}

/// The value that was seen instead of the expected one, and the workers' last log lines, for the output of a failing
/// test.
struct SeenWithLogs<'a, T> {
    seen: T,
    workers: &'a [Program],
}

impl<T: Debug> Debug for SeenWithLogs<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}\n{}", self.seen, self.workers.iter().map(log_of).collect::<String>())
    }
}

/// Returns a program's last log lines, for the output of a failing test.
fn log_of(program: &Program) -> String {
    let log = program.log();
    log[log.len().saturating_sub(40)..].join("\n") + "\n"
}

/// Creates a database on its own server with default durability. A test can stop this server.
async fn own_server() -> TestDatabase {
    let server = Postgres::start().await.unwrap();
    server.create_outbox("system").await.unwrap();
    TestDatabase::on(server, "system")
}

/// Appends `changes` to `settings`. If a setting occurs twice, the later value applies.
fn changed(mut settings: Vec<(String, String)>, changes: &[(&'static str, String)]) -> Vec<(String, String)> {
    settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    settings
}

/// Returns the request body of the published example, with `email` as the address.
#[must_use]
pub fn example(email: &str) -> Value {
    json!({ "email": email, "callback_origin": "https://example.com", "callback_next": "example" })
}

/// Posts `body` as JSON, with a new request id.
///
/// # Panics
/// No response arrives.
pub async fn post_at(url: &str, body: &Value) -> Answer {
    let request_id = uuid::Uuid::now_v7().to_string();
    let request = CLIENT.with(|client| client.post(url).header("x-request-id", &request_id).json(body));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    Answer { status, headers, body, request_id }
}

/// Gets a page, and returns its status and text.
///
/// # Panics
/// No response arrives.
pub async fn get_at(url: &str) -> (u16, String) {
    let response = CLIENT.with(|client| client.get(url)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

thread_local! {
    /// One client per thread, because a connection works only in the runtime that opened it, and each test has its own
    /// runtime and thread.
    static CLIENT: Client = sandbox::client().unwrap();
}
