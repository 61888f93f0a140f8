//! The whole house for a test: the real programs on a database of their own, between stand-ins.
//!
//! [`TestSystem::start`] starts it; a test posts at the front door, looks into the mailbox, and asks the table. Dropping
//! it ends every process.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that cannot go on panics")]

mod server;

use std::time::Duration;

use reqwest::{Client, header::HeaderMap};
use sandbox::{Mailgun, MailgunSettings, Postgres, Program, Programs, SupabaseAuth, SupabaseSettings};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};

/// Longest that a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings beyond the usual, and how many of each program.
#[derive(Clone, Debug)]
pub struct Plan {
    /// For the api, over the defaults of the tests.
    pub api: Vec<(&'static str, String)>,
    /// For the worker, likewise.
    pub worker: Vec<(&'static str, String)>,
    /// For the stand-in Supabase Auth.
    pub supabase: SupabaseSettings,
    /// Replicas of the api.
    pub apis: usize,
    /// Workers at the start; more may be started later.
    pub workers: usize,
    /// Whether the house has a Postgres server of its own, which may be halted.
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
    /// Sets a setting of the api.
    #[must_use]
    pub fn api(mut self, name: &'static str, value: &str) -> Self {
        self.api.push((name, value.to_owned()));
        self
    }

    /// Sets a setting of the workers.
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
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body; null where it is no JSON.
    pub body: Value,
    /// The request's id, by which its job is found.
    pub request_id: String,
}

/// Everything, running.
pub struct TestSystem {
    /// Replicas of the api.
    pub apis: Vec<Program>,
    /// The workers.
    pub workers: Vec<Program>,
    /// The stand-in that makes links.
    pub supabase: SupabaseAuth,
    /// The stand-in that takes mails.
    pub mailgun: Mailgun,
    /// The house's database.
    pub pool: PgPool,
    /// Its own server, if the plan said so.
    pub server: Option<Postgres>,
    /// Where the database is, for its superuser.
    pub database_url: String,
    database: server::DatabaseUrls,
    plan: Plan,
}

impl TestSystem {
    /// The usual house: one api, one worker.
    pub async fn open() -> Self {
        Self::of(Plan::default()).await
    }

    /// A house after a plan.
    pub async fn of(plan: Plan) -> Self {
        let (server, database) = if plan.own_server {
            let (server, database) = server::own().await;
            (Some(server), database)
        } else {
            (None, server::fresh_database().await)
        };
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

    /// Starts one more api.
    pub async fn start_api(&mut self) {
        let settings = [
            ("API_LISTEN", "127.0.0.1:0".to_owned()),
            ("API_PRIVATE_LISTEN", "127.0.0.1:0".to_owned()),
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

    /// Waits until the last started api has its database: until then it answers 503.
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

    /// Starts one more worker.
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
        // Later ones win.
        let all = both.into_iter().chain(usual).chain(planned.iter().cloned());
        all.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The address of a path of the first api.
    pub async fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.apis[0].address().await.unwrap())
    }

    /// Asks for a link for this address, with the published example's callback.
    pub async fn ask(&self, email: &str) -> Answer {
        self.post(&example(email)).await
    }

    /// The same, for another page, so that it is no double click.
    pub async fn ask_for(&self, email: &str, page: &str) -> Answer {
        let mut body = example(email);
        body["callback_next"] = page.into();
        self.post(&body).await
    }

    /// Posts a body at the first api.
    pub async fn post(&self, body: &Value) -> Answer {
        self.post_to(0, body).await
    }

    /// Posts a body at one of the apis.
    pub async fn post_to(&self, api: usize, body: &Value) -> Answer {
        let address = self.apis[api].address().await.unwrap();
        post_at(&format!("http://{address}/api/auth/send-magic-link"), body).await
    }

    /// Gets a page as text, with its status.
    pub async fn get(&self, url: &str) -> (u16, String) {
        get_at(url).await
    }

    /// What `/health/ready` of a worker says.
    pub async fn worker_ready(&self, worker: usize) -> (u16, Value) {
        let address = self.workers[worker].address().await.unwrap();
        let (status, body) = self.get(&format!("http://{address}/health/ready")).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    /// One value, as text.
    pub async fn text(&self, query: &str) -> String {
        let query = format!("select coalesce(({query})::text, '')");
        sqlx::query_scalar(AssertSqlSafe(query)).fetch_one(&self.pool).await.unwrap()
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &str) {
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.pool).await.unwrap();
    }

    /// `state` and `code` of the job of a request.
    pub async fn state(&self, answer: &Answer) -> String {
        let id = &answer.request_id;
        self.text(&format!("select concat_ws(' ', state, code) from email_jobs where request_id = '{id}'")).await
    }

    /// Waits until the job of a request is in this state (and has this code, if one is given).
    pub async fn until_state(&self, answer: &Answer, state: &str) {
        let seen = eventually(|| async {
            let seen = self.state(answer).await;
            if seen == state || seen.split(' ').next() == Some(state) { Ok(()) } else { Err(seen) }
        });
        if let Err(seen) = seen.await {
            panic!("the job is not {state} but {seen}\n{}", self.workers.iter().map(log_of).collect::<String>());
        }
    }

    /// Waits until the delivery of a request's mail is this.
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

/// The last lines of a program, for a failing test's output.
fn log_of(program: &Program) -> String {
    let log = program.log();
    log[log.len().saturating_sub(40)..].join("\n") + "\n"
}

/// The published example's body, for an address.
#[must_use]
pub fn example(email: &str) -> Value {
    json!({ "email": email, "callback_origin": "https://example.com", "callback_next": "example" })
}

/// Asks again and again until the answer is good, or patience ends with the last bad one.
///
/// # Errors
/// The last bad answer.
pub async fn eventually<T, E, F: Future<Output = Result<T, E>>>(mut ask: impl FnMut() -> F) -> Result<T, E> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
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

/// Posts a body with a request id of its own.
///
/// # Panics
/// When no answer comes.
pub async fn post_at(url: &str, body: &Value) -> Answer {
    let request_id = uuid::Uuid::now_v7().to_string();
    let request = CLIENT.with(|client| client.post(url).header("x-request-id", &request_id).json(body));
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
    Answer { status, headers, body, request_id }
}

/// Gets a page as text, with its status.
///
/// # Panics
/// When no answer comes.
pub async fn get_at(url: &str) -> (u16, String) {
    let response = CLIENT.with(|client| client.get(url)).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

thread_local! {
    /// One client per thread, since a test's runtime, on which its connections live, is one thread.
    static CLIENT: Client = sandbox::client().unwrap();
}
