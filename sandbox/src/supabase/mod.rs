//! A stand-in for Supabase Auth: `POST /auth/v1/admin/generate_link`, `GET` and `POST /auth/v1/verify`,
//! `GET /auth/v1/user`, `POST /auth/v1/logout` and `GET /auth/v1/health`. It responds like a real server
//! (supabase/auth v2.196). All state is in memory. Faults from `/_sandbox/faults` apply to generate_link. To make
//! `/verify` fail, tests use `verify_faults`.

mod allow_list;
mod answer;
mod cors;
mod email;
mod generate_link;
mod link_request;
mod link_tokens;
mod page;
mod routes;
mod sessions;
mod settings;
mod signed_in;
mod users;
mod verify;

pub use link_tokens::LinkTokens;
pub use settings::SupabaseSettings;
pub use users::User;

use crate::{
    faults::Faults,
    http,
    journal::{Journal, TimedOut},
    server::Server,
};
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Client;
use serde_json::{Value, json};
use sessions::Sessions;
use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};
use tokio::net::TcpListener;
use users::Users;

/// A call to generate_link.
#[derive(Clone, Debug)]
pub struct LinkCall {
    /// When the call arrived.
    pub at: SystemTime,
    /// The body's `type`.
    pub kind: String,
    /// The body's `email`. Empty if the body could not be parsed.
    pub email: String,
    /// The body's `redirect_to`.
    pub redirect_to: String,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `Referer` header, which Supabase may use as the redirect URL.
    pub referer: Option<String>,
    /// The `X-Supabase-Api-Version` header.
    pub api_version: Option<String>,
    /// Whether there was an `apikey` header.
    pub apikey_present: bool,
    /// The status of the stand-in's own response, even if a fault replaced that response. `None` if a fault prevented
    /// the stand-in from carrying out the call.
    pub carried_out: Option<u16>,
    /// The status of the response that was sent. `None` if no response has been sent.
    pub answered: Option<u16>,
}

/// A GET to `/verify`: a link was opened, or a token that belongs to no link was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyCall {
    /// The path, such as `/auth/v1/verify`.
    pub path: String,
    /// The query's `type`.
    pub kind: String,
    /// The query's `token` if it never belonged to a link. Otherwise `None`, because a link's token is a secret.
    pub unknown_token: Option<String>,
    /// The query's `redirect_to`, decoded.
    pub redirect_to: String,
    /// Whether there was an `apikey` or `Authorization` header.
    pub key_present: bool,
}

/// A POST to `/verify`: a portal sends a code, or its back end sends a token hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyPost {
    /// The `X-Forwarded-For` header.
    pub forwarded_for: Option<String>,
    /// The `Sb-Forwarded-For` header.
    pub sb_forwarded_for: Option<String>,
    /// The `apikey` header.
    pub apikey: Option<String>,
}

/// The result of opening a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `signed_in`, or Supabase's error code, such as `otp_expired`.
    pub code: String,
    /// The URL to which the browser is sent, without the fragment that contains the tokens.
    pub redirect_to: String,
}

impl Outcome {
    /// Whether the link signed its user in.
    pub fn signed_in(&self) -> bool {
        self.code == "signed_in"
    }
}

struct AuthState {
    settings: SupabaseSettings,
    users: Users,
    sessions: Sessions,
}

#[derive(Clone)]
struct State {
    auth: Arc<Mutex<AuthState>>,
    journal: Journal<LinkCall>,
    faults: Faults,
    checks: Arc<AtomicUsize>,
    verify_journal: Journal<VerifyCall>,
    verify_posts: Journal<VerifyPost>,
    verify_faults: Faults,
}

impl State {
    fn with<R>(&self, work: impl FnOnce(&mut AuthState) -> R) -> R {
        work(&mut self.auth.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running stand-in. Dropping it stops it.
pub struct SupabaseAuth {
    server: Server,
    state: State,
    /// The client with which tests open links.
    browser: Client,
}

impl SupabaseAuth {
    /// Starts the stand-in on the current runtime.
    ///
    /// # Errors
    /// The stand-in cannot listen on the address, or reqwest cannot build a client.
    pub async fn start(mut settings: SupabaseSettings) -> io::Result<SupabaseAuth> {
        let listener = TcpListener::bind(settings.listen).await?;
        if settings.external_url.is_empty() {
            settings.external_url = format!("http://{}", listener.local_addr()?);
        }
        let auth = AuthState { settings, users: Users::default(), sessions: Sessions::default() };
        let state = State {
            auth: Arc::new(Mutex::new(auth)),
            journal: Journal::new(),
            faults: Faults::new(answer::usual_body),
            checks: Arc::default(),
            verify_journal: Journal::new(),
            verify_posts: Journal::new(),
            verify_faults: Faults::new(answer::usual_body),
        };
        let server = Server::start(listener, routes::routes(&state))?;
        Ok(SupabaseAuth { server, state, browser: http::client().map_err(io::Error::other)? })
    }

    /// The base URL of the stand-in, for SUPABASE_URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The number of check calls: calls to generate_link without a type, with which the worker tests Supabase. They are
    /// not in the journal.
    pub fn checks(&self) -> usize {
        self.state.checks.load(Ordering::Relaxed)
    }

    /// The calls to generate_link so far, oldest first.
    pub fn journal(&self) -> Vec<LinkCall> {
        self.state.journal.all()
    }

    /// Waits up to 20 s until at least this many calls have arrived, answered or not.
    ///
    /// # Errors
    /// Fewer calls arrived in that time.
    pub async fn wait_for_calls(&self, count: usize) -> Result<Vec<LinkCall>, TimedOut> {
        self.state.journal.wait_for_count(count, "calls", |calls| format!("{calls:#?}")).await
    }

    /// The faults that apply to generate_link.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// The GETs to `/verify` so far, oldest first.
    pub fn verify_journal(&self) -> Vec<VerifyCall> {
        self.state.verify_journal.all()
    }

    /// The POSTs to `/verify` so far, oldest first.
    pub fn verify_posts(&self) -> Vec<VerifyPost> {
        self.state.verify_posts.all()
    }

    /// The faults that apply to `/auth/v1/verify`, for GET and POST. A fault for only one address never applies to
    /// these calls.
    pub fn verify_faults(&self) -> &Faults {
        &self.state.verify_faults
    }

    /// Returns a handle that checks whether a link still works, without using it up.
    pub fn link_tokens(&self) -> LinkTokens {
        LinkTokens(self.state.clone())
    }

    /// All users.
    pub fn users(&self) -> Vec<User> {
        self.state.with(|auth| auth.users.all())
    }

    /// Creates an account with an unconfirmed address, as a sign-up does.
    pub fn add_user(&self, email: &str) {
        self.state.with(|auth| {
            auth.users.create(&email.to_lowercase(), serde_json::Map::new());
        });
    }

    /// Creates an account with a confirmed address.
    pub fn add_confirmed_user(&self, email: &str) {
        self.state.with(|auth| {
            let user = auth.users.create(&email.to_lowercase(), serde_json::Map::new());
            user.confirmed_at = Some(user.created_at);
        });
    }

    /// Bans a user for a day. Links can still be created, but do not work. Creates the account if it does not exist.
    pub fn ban(&self, email: &str) {
        self.ban_until(email, Utc::now() + TimeDelta::days(1));
    }

    /// Bans a user until the given time, which may be in the past. Creates the account if it does not exist.
    pub fn ban_until(&self, email: &str, until: DateTime<Utc>) {
        self.add_confirmed_user(email);
        self.state.with(|auth| {
            if let Some(user) = auth.users.find(&email.to_lowercase()) {
                user.banned_until = Some(until);
            }
        });
    }

    /// Makes all existing links and codes expire.
    pub fn expire_links(&self) {
        self.state.with(|auth| auth.users.expire_links());
    }

    /// Changes the path of links that are created from now on.
    pub fn set_verify_path(&self, path: &str) {
        self.state.with(|auth| path.clone_into(&mut auth.settings.verify_path));
    }

    /// Changes the number of digits of the one-time codes that are created from now on (MAILER_OTP_LENGTH).
    pub fn set_otp_length(&self, digits: usize) {
        self.state.with(|auth| auth.settings.otp_length = digits);
    }

    /// Changes SITE_URL.
    pub fn set_site_url(&self, url: &str) {
        self.state.with(|auth| url.clone_into(&mut auth.settings.site_url));
    }

    /// Changes URI_ALLOW_LIST.
    pub fn set_allow_list(&self, entries: &[&str]) {
        let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        self.state.with(|auth| auth.settings.uri_allow_list = entries);
    }

    /// Sets or removes the hook that rejects new users.
    pub fn set_hook_rejects(&self, refusal: Option<(u16, &str)>) {
        let refusal = refusal.map(|(status, message)| (status, message.to_owned()));
        self.state.with(|auth| auth.settings.hook_rejects = refusal);
    }

    /// The one-time codes that have not been used or replaced. No log and no table may contain them.
    pub fn live_codes(&self) -> Vec<String> {
        self.users().iter().flat_map(User::live_codes).map(str::to_owned).collect()
    }

    /// The token hashes of the links that have not been used or replaced. No log and no table may contain them.
    pub fn live_token_hashes(&self) -> Vec<String> {
        self.users().iter().flat_map(User::live_token_hashes).map(str::to_owned).collect()
    }

    /// Signs in with an address and its one-time code, as a portal does (`POST /verify`). Returns `signed_in`, or
    /// Supabase's error code.
    ///
    /// # Errors
    /// The stand-in does not respond.
    pub async fn verify_code(&self, email: &str, code: &str) -> Result<String, reqwest::Error> {
        self.verify_by_post(&json!({"type": "email", "email": email, "token": code})).await
    }

    /// Signs in with a token hash, as the back end of a portal does (`POST /verify`). Returns `signed_in`, or
    /// Supabase's error code.
    ///
    /// # Errors
    /// The stand-in does not respond.
    pub async fn verify_token_hash(&self, token_hash: &str) -> Result<String, reqwest::Error> {
        self.verify_by_post(&json!({"type": "email", "token_hash": token_hash})).await
    }

    async fn verify_by_post(&self, body: &Value) -> Result<String, reqwest::Error> {
        let url = format!("{}/auth/v1/verify", self.url());
        let answer = self.browser.post(url).json(body).send().await?;
        if answer.status().is_success() {
            return Ok("signed_in".to_owned());
        }
        let body: Value = answer.json().await?;
        Ok(body["error_code"].as_str().unwrap_or_default().to_owned())
    }

    /// Opens a link as a browser does (with GET, which uses up the link), without following the redirect.
    ///
    /// # Errors
    /// The link's server does not respond.
    pub async fn verify(&self, link: &str) -> Result<Outcome, reqwest::Error> {
        let answer = self.browser.get(link).send().await?;
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let code = match header(verify::OUTCOME_HEADER) {
            code if code.is_empty() => header("x-sb-error-code"),
            code => code,
        };
        Ok(Outcome { code, redirect_to: header(verify::REDIRECT_HEADER) })
    }
}
