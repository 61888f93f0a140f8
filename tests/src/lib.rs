//! The whole system for a test: the real programs with their own database and stand-ins for the upstreams.
//!
//! [`TestSystem::start`] starts the system. A test posts requests, reads the mailbox and queries the tables. Finally, it calls
//! [`TestSystem::finish`], which fails if jobs are left open. Dropping the system stops every process.
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

/// Maximum time to wait for an event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// `CONFIRM_KEY` of a [`Plan`] with the confirm page: 32 bytes 0x01.
pub const CONFIRM_KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// Settings that differ from the defaults of the tests, and how many of each program to start.
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
    /// Number of workers at the start.
    pub workers: usize,
    /// Whether the system has its own Postgres server, which a test may stop.
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
    /// Adds a setting of the api.
    #[must_use]
    pub fn api(mut self, name: &'static str, value: &str) -> Self {
        self.api.push((name, value.to_owned()));
        self
    }

    /// Adds the settings of the confirm page. The api listens on a port that is chosen now, because both programs need its
    /// address as `PUBLIC_URL`.
    #[must_use]
    pub fn with_confirm_page(self) -> Self {
        let address = format!("127.0.0.1:{}", sandbox::free_port().unwrap());
        self.api("API_LISTEN", &address).with_public_url(&format!("http://{address}"))
    }

    /// Adds the settings of a confirm page at this URL. No server needs to listen there.
    #[must_use]
    pub fn with_public_url(self, url: &str) -> Self {
        let plan = self.api("PUBLIC_URL", url).api("CONFIRM_KEY", CONFIRM_KEY);
        plan.worker("PUBLIC_URL", url).worker("CONFIRM_KEY", CONFIRM_KEY)
    }

    /// Replaces the one portal of the settings by those of this `PORTALS_FILE`, in both programs.
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

    /// Adds a setting of the workers.
    #[must_use]
    pub fn worker(mut self, name: &'static str, value: &str) -> Self {
        self.worker.push((name, value.to_owned()));
        self
    }
}

/// An answer from the api.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. Null if it is not JSON.
    pub body: Value,
    /// The request's id, by which its job can be found.
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
    /// `DATABASE_URL` of the apis.
    api_url: String,
    /// `DATABASE_URL` of the workers.
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

    /// Starts a system with this plan.
    pub async fn with(plan: Plan) -> Self {
        let database = if plan.own_server { own_server().await } else { TestDatabase::new().await };
        Self::with_database(database, plan).await
    }

    /// Starts a system with this plan on an existing database.
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

    /// Waits until the newest api is ready. Before that, it answers 503.
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

    /// URL of a path on the first api.
    pub async fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.apis[0].address().await.unwrap())
    }

    /// Requests a link for this address, with the callback of the published example.
    pub async fn ask(&self, email: &str) -> Answer {
        self.post(&example(email)).await
    }

    /// Requests a link to this page. Requests for links to different pages are not double clicks.
    pub async fn ask_for(&self, email: &str, page: &str) -> Answer {
        let mut body = example(email);
        body["callback_next"] = page.into();
        self.post(&body).await
    }

    /// Posts a body to the first api.
    pub async fn post(&self, body: &Value) -> Answer {
        self.post_to(0, body).await
    }

    /// Posts a body to one of the apis.
    pub async fn post_to(&self, api: usize, body: &Value) -> Answer {
        let address = self.apis[api].address().await.unwrap();
        post_at(&format!("http://{address}/api/auth/send-magic-link"), body).await
    }

    /// Gets a page, and returns its status and text.
    pub async fn get(&self, url: &str) -> (u16, String) {
        get_at(url).await
    }

    /// Returns status and body of a worker's `/health/ready`.
    pub async fn worker_ready(&self, worker: usize) -> (u16, Value) {
        let address = self.workers[worker].address().await.unwrap();
        let (status, body) = self.get(&format!("http://{address}/health/ready")).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// A worker's metrics.
    pub async fn worker_metrics(&self, worker: usize) -> String {
        let address = self.workers[worker].address().await.unwrap();
        self.get(&format!("http://{address}/metrics")).await.1
    }

    /// Returns status and body of `/health/ready` on an api's private listener.
    pub async fn api_ready(&self, api: usize) -> (u16, Value) {
        let (status, body) = self.get(&self.private_url(api, "/health/ready").await).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// URL of a path on an api's private listener.
    pub async fn private_url(&self, api: usize, path: &str) -> String {
        let line = self.apis[api].wait_for_line("listening privately", TIMEOUT).await.unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        format!("http://{}{path}", line["fields"]["address"].as_str().unwrap())
    }

    /// The job of a request, if it has one.
    pub async fn find_job(&self, answer: &Answer) -> Option<JobRow> {
        self.find_by_request(&answer.request_id).await
    }

    /// The job of a request.
    pub async fn job(&self, answer: &Answer) -> JobRow {
        self.find_job(answer).await.unwrap_or_else(|| panic!("the request has no job: {answer:?}"))
    }

    /// Waits until a request's job has this state, and returns the job.
    pub async fn until_state(&self, answer: &Answer, state: &str) -> JobRow {
        eventually(&format!("the job to be {state}"), async || match self.find_job(answer).await {
            Some(job) if job.state == state => Ok(job),
            job => Err(self.seen(job)),
        })
        .await
    }

    /// Waits until Mailgun's report on a request's mail was recorded, and returns the job.
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

    /// Waits until this number of jobs is open.
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

    /// Ends a test that leaves this number of jobs open on purpose.
    pub async fn finish_with_open_jobs(self, count: i64) {
        self.until_open(count).await;
        // Do not count the open jobs a second time when the test ends, because the workers are still running.
        self.allow_any_open_jobs();
    }

    /// Ends a run in which it does not matter how many jobs are open, such as a measurement.
    pub fn finish_with_any_jobs(self) {
        self.allow_any_open_jobs();
    }

    fn seen<T: Debug>(&self, seen: T) -> SeenWithLogs<'_, T> {
        SeenWithLogs { seen, workers: &self.workers }
    }
}

/// What was seen instead of the expected value, and the workers' last lines, for the output of a failing test.
struct SeenWithLogs<'a, T> {
    seen: T,
    workers: &'a [Program],
}

impl<T: Debug> Debug for SeenWithLogs<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}\n{}", self.seen, self.workers.iter().map(log_of).collect::<String>())
    }
}

/// A program's last lines, for the output of a failing test.
fn log_of(program: &Program) -> String {
    let log = program.log();
    log[log.len().saturating_sub(40)..].join("\n") + "\n"
}

/// A database on its own server with default durability. A test may stop this server.
async fn own_server() -> TestDatabase {
    let server = Postgres::start().await.unwrap();
    server.create_outbox("system").await.unwrap();
    TestDatabase::on(server, "system")
}

/// Adds settings. A later value replaces an earlier one.
fn changed(mut settings: Vec<(String, String)>, changes: &[(&'static str, String)]) -> Vec<(String, String)> {
    settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    settings
}

/// The body of the published example, with this address.
#[must_use]
pub fn example(email: &str) -> Value {
    json!({ "email": email, "callback_origin": "https://example.com", "callback_next": "example" })
}

/// Posts a body with a new request id.
///
/// # Panics
/// No answer arrives.
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
/// No answer arrives.
pub async fn get_at(url: &str) -> (u16, String) {
    let response = CLIENT.with(|client| client.get(url)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

thread_local! {
    /// One client per thread, because a connection works only in the runtime that opened it, and each test has its own
    /// runtime and thread.
    static CLIENT: Client = sandbox::client().unwrap();
}
