//! The whole system for a test: the real programs with their own database and stand-ins for the upstreams.
//!
//! [`TestSystem::start`] starts it. A test posts requests, reads the mailbox and queries the tables. Dropping it stops
//! every process.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a panic fails the test")]

pub mod record;
mod server;
pub mod settings;

use std::time::Duration;

use reqwest::{Client, header::HeaderMap};
use sandbox::{Mailgun, MailgunSettings, Postgres, Program, Programs, SupabaseAuth, SupabaseSettings};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

pub use server::DatabaseUrls;

/// Maximum time to wait for an event.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Settings that differ from the defaults of the tests, and how many of each program to start.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Settings of the api.
    pub api: Vec<(&'static str, String)>,
    /// Settings of the workers.
    pub worker: Vec<(&'static str, String)>,
    /// Settings of the stand-in for Supabase Auth.
    pub supabase: SupabaseSettings,
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

    /// Adds a setting of the workers.
    #[must_use]
    pub fn worker(mut self, name: &'static str, value: &str) -> Self {
        self.worker.push((name, value.to_owned()));
        self
    }
}

/// An answer of the api.
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
    /// A pool on the system's database, as superuser.
    pub pool: PgPool,
    /// Its own Postgres server, if the plan has one.
    pub server: Option<Postgres>,
    /// URL of the database for the superuser.
    pub database_url: String,
    database: DatabaseUrls,
    plan: Plan,
}

impl TestSystem {
    /// Starts one api and one worker with the default settings.
    pub async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    /// Starts a system with this plan.
    pub async fn with(plan: Plan) -> Self {
        if plan.own_server {
            let (server, database) = server::own().await;
            Self::on(Some(server), database, plan).await
        } else {
            Self::on(None, server::fresh_database().await, plan).await
        }
    }

    /// Starts a system with this plan on an existing database.
    pub async fn with_database(database: DatabaseUrls, plan: Plan) -> Self {
        Self::on(None, database, plan).await
    }

    async fn on(server: Option<Postgres>, database: DatabaseUrls, plan: Plan) -> Self {
        let mut system = Self {
            apis: vec![],
            workers: vec![],
            supabase: SupabaseAuth::start(plan.supabase.clone()).await.unwrap(),
            mailgun: Mailgun::start(MailgunSettings::default()).await.unwrap(),
            pool: outbox::connect(&database.admin.clone().into(), 4, "test").unwrap(),
            server,
            database_url: database.admin.clone(),
            database,
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
        self.database.api = api;
        self.database.worker = worker;
    }

    /// Adds a setting for workers that are started from now on.
    pub fn set_worker(&mut self, name: &'static str, value: &str) {
        self.plan.worker.push((name, value.to_owned()));
    }

    /// Starts another api.
    pub async fn start_api(&mut self) {
        let settings = [
            ("API_LISTEN", "127.0.0.1:0".to_owned()),
            ("API_PRIVATE_LISTEN", "127.0.0.1:0".to_owned()),
            ("DRAIN_SECONDS", "0".to_owned()),
            ("CALLBACK_ORIGINS", "https://example.com,http://localhost:*".to_owned()),
            ("IP_RATE_LIMIT", "100000/1m".to_owned()),
            ("RECIPIENT_RATE_LIMIT", "1000/15m".to_owned()),
            ("RECIPIENT_CLIENT_RATE_LIMIT", "1000/15m".to_owned()),
        ];
        let settings = self.settings(&self.database.api, settings.to_vec(), &self.plan.api);
        let program = Program::spawn(&Programs::build().await.unwrap().api, "api", &settings, &[]).unwrap();
        program.address().await.unwrap();
        self.apis.push(program);
    }

    /// Waits until the newest api is ready. Before that, it answers 503.
    async fn until_api_is_ready(&self) {
        let address = self.apis[self.apis.len() - 1].address().await.unwrap();
        let url = format!("http://{address}/health/ready");
        let ready = eventually(|| async {
            match self.get(&url).await {
                (200, _) => Ok(()),
                (_, body) => Err(body),
            }
        });
        ready.await.unwrap();
    }

    /// Starts another worker.
    pub async fn start_worker(&mut self) {
        let settings = [
            ("WORKER_LISTEN", "127.0.0.1:0".to_owned()),
            ("SUPABASE_URL", self.supabase.url()),
            ("SUPABASE_SERVICE_ROLE_KEY", SupabaseSettings::default().service_role_key),
            ("MAILGUN_BASE_URL", self.mailgun.url()),
            ("MAILGUN_DOMAIN", MailgunSettings::default().domain),
            ("MAILGUN_API_KEY", MailgunSettings::default().api_key),
            ("MAIL_FROM", "Example Portal <sign-in@mg.example.com>".to_owned()),
            ("LINK_SEALING_KEY", "dGVzdHMgb25seTogdGhpcnR5LXR3byBieXRlcyBrZXk=".to_owned()),
            ("MAILGUN_RATE", "1000/1s".to_owned()),
        ];
        let settings = self.settings(&self.database.worker, settings.to_vec(), &self.plan.worker);
        let program = Program::spawn(&Programs::build().await.unwrap().worker, "worker", &settings, &[]).unwrap();
        program.address().await.unwrap();
        self.workers.push(program);
    }

    fn settings(
        &self,
        database: &str,
        usual: Vec<(&'static str, String)>,
        planned: &[(&'static str, String)],
    ) -> Vec<(String, String)> {
        let both = [
            ("DATABASE_URL", database.to_owned()),
            ("MIGRATE_ON_START", "false".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("RUST_LOG", "debug".to_owned()),
        ];
        // A later value replaces an earlier one.
        let all = both.into_iter().chain(usual).chain(planned.iter().cloned());
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Runs a command of the worker, such as `upstreams`, and returns what it printed.
    pub async fn worker_command(&self, arguments: &[&str]) -> Vec<String> {
        let settings = [("DATABASE_URL".to_owned(), self.database.worker.clone())];
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

    /// Requests a link to another page, so that the request is not a double click.
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

    /// Queries one value as text.
    pub async fn text(&self, query: &str) -> String {
        let query = format!("select coalesce(({query})::text, '')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&self.pool).await.unwrap()
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// State and code of a request's job.
    pub async fn state(&self, answer: &Answer) -> String {
        let id = &answer.request_id;
        self.text(&format!("select concat_ws(' ', state, code) from email_jobs where request_id = '{id}'")).await
    }

    /// Waits until a request's job has this state, or this `state code`.
    pub async fn until_state(&self, answer: &Answer, state: &str) {
        let seen = eventually(|| async {
            let seen = self.state(answer).await;
            if seen == state || seen.split(' ').next() == Some(state) { Ok(()) } else { Err(seen) }
        });
        if let Err(seen) = seen.await {
            panic!("the job is not {state} but {seen}\n{}", self.workers.iter().map(log_of).collect::<String>());
        }
    }

    /// Waits until a request's mail has this delivery status.
    pub async fn until_delivery(&self, answer: &Answer, delivery: &str) {
        let query = format!("select delivery from email_jobs where request_id = '{}'", answer.request_id);
        let seen = eventually(|| async {
            let seen = self.text(&query).await;
            if seen == delivery { Ok(()) } else { Err(seen) }
        });
        seen.await.unwrap_or_else(|seen| panic!("the delivery is not {delivery} but {seen:?}"));
    }

    /// Waits until no job is open.
    pub async fn until_idle(&self) {
        let idle = eventually(|| async {
            let open =
                self.text("select string_agg(concat_ws(' ', recipient, state, code), ', ') from email_jobs_open").await;
            if open.is_empty() { Ok(()) } else { Err(open) }
        });
        if let Err(open) = idle.await {
            panic!("jobs are left open: {open}\n{}", self.workers.iter().map(log_of).collect::<String>());
        }
    }
}

/// A program's last lines, for the output of a failing test.
fn log_of(program: &Program) -> String {
    let log = program.log();
    log[log.len().saturating_sub(40)..].join("\n") + "\n"
}

/// The body of the published example, with this address.
#[must_use]
pub fn example(email: &str) -> Value {
    json!({ "email": email, "callback_origin": "https://example.com", "callback_next": "example" })
}

/// Repeats a check until it succeeds.
///
/// # Errors
/// The last failure, if the check does not succeed within 30 seconds.
pub async fn eventually<T, E, F: Future<Output = Result<T, E>>>(mut ask: impl FnMut() -> F) -> Result<T, E> {
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    let mut pace = tokio::time::interval(Duration::from_millis(10));
    loop {
        pace.tick().await;
        match ask().await {
            Err(bad) if tokio::time::Instant::now() > deadline => return Err(bad),
            Err(_) => {}
            good => return good,
        }
    }
}

/// Posts a body with a new request id.
///
/// # Panics
/// No answer comes.
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
/// No answer comes.
pub async fn get_at(url: &str) -> (u16, String) {
    let response = CLIENT.with(|client| client.get(url)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

thread_local! {
    /// One client per thread, because connections belong to a test's runtime, which is one thread.
    static CLIENT: Client = sandbox::client().unwrap();
}
