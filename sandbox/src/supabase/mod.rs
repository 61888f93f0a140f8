//! A stand-in for Supabase Auth: `POST /auth/v1/admin/generate_link`, `GET` and `POST /auth/v1/verify`,
//! `GET /auth/v1/health`, as a real server (supabase/auth v2.196) was seen to answer them. All state is
//! in memory. Faults: `/_sandbox/faults`; they strike generate_link. Tests make `/verify` fail through
//! `verify_faults`.

mod allow_list;
mod answer;
mod email;
mod generate_link;
mod link_request;
mod page;
mod routes;
mod settings;
mod users;
mod verify;

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

/// A call of generate_link.
#[derive(Clone, Debug)]
pub struct LinkCall {
    /// When it came.
    pub at: SystemTime,
    /// The body's `type`, as sent.
    pub kind: String,
    /// The body's `email`, as sent; empty when the body could not be read.
    pub email: String,
    /// The body's `redirect_to`, as sent.
    pub redirect_to: String,
    /// The header of that name.
    pub user_agent: Option<String>,
    /// The header of that name, which could become the redirect.
    pub referer: Option<String>,
    /// The header `X-Supabase-Api-Version`.
    pub api_version: Option<String>,
    /// Whether there was an `apikey` header.
    pub apikey_present: bool,
    /// The status with which the call was carried out; none when a fault kept it from being.
    pub carried_out: Option<u16>,
    /// The status that the caller got; none while, or because, no answer came.
    pub answered: Option<u16>,
}

/// A GET of `/verify`: a link was opened, or a token was tried that belongs to no link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyCall {
    /// The path, such as `/auth/v1/verify`.
    pub path: String,
    /// The query's `type`.
    pub kind: String,
    /// The query's `token` if no link ever had it; else none, since the token of a link is a secret.
    pub unknown_token: Option<String>,
    /// The query's `redirect_to`, decoded.
    pub redirect_to: String,
    /// Whether there was an `apikey` or `Authorization` header.
    pub key_present: bool,
}

/// What became of a link that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `signed_in`, or Supabase's error code, such as `otp_expired`.
    pub code: String,
    /// Where the browser is sent, without the fragment that carries the tokens.
    pub redirect_to: String,
}

impl Outcome {
    /// Whether the link worked.
    pub fn signed_in(&self) -> bool {
        self.code == "signed_in"
    }
}

struct AuthState {
    settings: SupabaseSettings,
    users: Users,
}

#[derive(Clone)]
struct State {
    world: Arc<Mutex<AuthState>>,
    journal: Journal<LinkCall>,
    faults: Faults,
    checks: Arc<AtomicUsize>,
    verify_journal: Journal<VerifyCall>,
    verify_faults: Faults,
}

impl State {
    fn with<R>(&self, work: impl FnOnce(&mut AuthState) -> R) -> R {
        work(&mut self.world.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running stand-in; dropping it closes it.
pub struct SupabaseAuth {
    server: Server,
    state: State,
    /// Opens links.
    browser: Client,
}

impl SupabaseAuth {
    /// Starts it; it runs on the current runtime.
    ///
    /// # Errors
    /// When the address is taken, or reqwest cannot set itself up.
    pub async fn start(mut settings: SupabaseSettings) -> io::Result<SupabaseAuth> {
        let listener = TcpListener::bind(settings.listen).await?;
        if settings.external_url.is_empty() {
            settings.external_url = format!("http://{}", listener.local_addr()?);
        }
        let users = Users::default();
        let state = State {
            world: Arc::new(Mutex::new(AuthState { settings, users })),
            journal: Journal::new(),
            faults: Faults::new(answer::usual_body),
            checks: Arc::default(),
            verify_journal: Journal::new(),
            verify_faults: Faults::new(answer::usual_body),
        };
        let server = Server::start(listener, routes::routes(&state))?;
        Ok(SupabaseAuth { server, state, browser: http::client().map_err(io::Error::other)? })
    }

    /// Its address, as SUPABASE_URL wants it.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The number of calls of generate_link without a type so far. They ask about the server, and are not in the journal.
    pub fn checks(&self) -> usize {
        self.state.checks.load(Ordering::Relaxed)
    }

    /// The calls of generate_link so far, oldest first.
    pub fn journal(&self) -> Vec<LinkCall> {
        self.state.journal.all()
    }

    /// Waits up to 20 s until there were this many calls, answered or not.
    ///
    /// # Errors
    /// When there were fewer.
    pub async fn wait_for_calls(&self, count: usize) -> Result<Vec<LinkCall>, TimedOut> {
        self.state.journal.wait_for_count(count, "calls", |calls| format!("{calls:#?}")).await
    }

    /// What goes wrong in the calls of generate_link.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }

    /// The GETs of `/verify` so far, oldest first.
    pub fn verify_journal(&self) -> Vec<VerifyCall> {
        self.state.verify_journal.all()
    }

    /// What goes wrong in the GETs of `/auth/v1/verify`. A fault for one address strikes nobody: a link does not name one.
    pub fn verify_faults(&self) -> &Faults {
        &self.state.verify_faults
    }

    /// Everybody with an account.
    pub fn users(&self) -> Vec<User> {
        self.state.with(|world| world.users.all())
    }

    /// Makes an account whose address is not confirmed yet, as if it had signed up.
    pub fn add_user(&self, email: &str) {
        self.state.with(|world| {
            world.users.create(&email.to_lowercase(), serde_json::Map::new());
        });
    }

    /// Makes an account whose address is confirmed.
    pub fn add_confirmed_user(&self, email: &str) {
        self.state.with(|world| {
            let user = world.users.create(&email.to_lowercase(), serde_json::Map::new());
            user.confirmed_at = Some(user.created_at);
        });
    }

    /// Bans somebody for a day; links are still made, but do not work. Makes the account if need be.
    pub fn ban(&self, email: &str) {
        self.ban_until(email, Utc::now() + TimeDelta::days(1));
    }

    /// Bans somebody until a time, which may have passed already. Makes the account if need be.
    pub fn ban_until(&self, email: &str, until: DateTime<Utc>) {
        self.add_confirmed_user(email);
        self.state.with(|world| {
            if let Some(user) = world.users.find(&email.to_lowercase()) {
                user.banned_until = Some(until);
            }
        });
    }

    /// Makes every link that is out there too old to work.
    pub fn expire_links(&self) {
        self.state.with(|world| world.users.expire_links());
    }

    /// Changes the path of the links that are made from now on.
    pub fn set_verify_path(&self, path: &str) {
        self.state.with(|world| path.clone_into(&mut world.settings.verify_path));
    }

    /// Changes SITE_URL.
    pub fn set_site_url(&self, url: &str) {
        self.state.with(|world| url.clone_into(&mut world.settings.site_url));
    }

    /// Changes URI_ALLOW_LIST.
    pub fn set_allow_list(&self, entries: &[&str]) {
        let entries = entries.iter().map(|entry| (*entry).to_owned()).collect();
        self.state.with(|world| world.settings.uri_allow_list = entries);
    }

    /// Sets or removes the hook that refuses strangers.
    pub fn set_hook_rejects(&self, refusal: Option<(u16, &str)>) {
        let refusal = refusal.map(|(status, message)| (status, message.to_owned()));
        self.state.with(|world| world.settings.hook_rejects = refusal);
    }

    /// The one-time codes that work now: what nothing may write down.
    pub fn live_codes(&self) -> Vec<String> {
        self.users().iter().flat_map(User::live_codes).map(str::to_owned).collect()
    }

    /// Opens a link as a browser would (GET, which uses it up), without following where it leads.
    ///
    /// # Errors
    /// When nobody answers at the link's address.
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
