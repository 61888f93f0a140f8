//! A stand-in for Mailgun: `POST /v3/{domain}/messages`, signed webhooks, the event and suppression lists, the domain's
//! settings, a mailbox page at `/`, and faults (`/_sandbox/faults`, or the page's buttons). All state is in memory.

mod buttons;
mod jobs;
mod lists;
mod mail;
mod mail_article;
mod mail_status;
mod mailbox;
mod messages;
mod preview;
mod reads;
mod scan;
mod tabs;
mod webhooks;

pub use jobs::{OpenJob, OpenJobs};
pub use lists::SuppressionList;
pub use mail::{InlinePart, Mail};
pub use preview::PreviewCommand;
pub use reads::ReadCall;
pub use webhooks::{SentWebhook, Signing, WebhookError, signed};

use crate::{
    faults::{self, Faults},
    journal::{Journal, TimedOut},
    server::{Cut, Server},
    supabase::LinkTokens,
};
use lists::Lists;
use messages::Form;
use poem::{
    Body, Endpoint, EndpointExt, Request, Response, Route, RouteMethod, handler,
    http::{StatusCode, header},
    web::{Data, Path},
};
use preview::Preview;
use scan::Scan;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::DropGuard;
use webhooks::Webhooks;

/// Settings of the stand-in.
#[derive(Clone, Debug)]
pub struct MailgunSettings {
    /// The address to listen on. Port 0 selects a free port.
    pub listen: SocketAddr,
    /// The only domain that accepts mails.
    pub domain: String,
    /// The only API key that may send mails.
    pub api_key: String,
    /// The only API key that may read events, suppressions and the domain's settings, and remove suppressions.
    pub events_key: String,
    /// A command that sends a mail. The empty mailbox page shows it.
    pub hint: Option<String>,
    /// The faults of the stand-in for Supabase Auth. The mailbox page has buttons for them if this is set.
    pub supabase_faults: Option<Faults>,
    /// The jobs whose mail has not been sent, for the mailbox page.
    pub jobs: Option<watch::Receiver<OpenJobs>>,
    /// Renders the mails of all portals, for the "Mails" tab of the mailbox page. If this is `None`, the page has
    /// no such tab.
    pub preview: Option<PreviewCommand>,
}

impl Default for MailgunSettings {
    fn default() -> Self {
        MailgunSettings {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            domain: "mg.example.com".into(),
            api_key: "key-sandbox".into(),
            events_key: "events-key-sandbox".into(),
            hint: None,
            supabase_faults: None,
            jobs: None,
            preview: None,
        }
    }
}

/// A call to `/v3/{domain}/messages`.
#[derive(Clone, Debug)]
pub struct SendCall {
    /// When the call arrived.
    pub at: SystemTime,
    /// The form's fields in the order sent.
    pub fields: Vec<(String, String)>,
    /// The `User-Agent` header.
    pub user_agent: Option<String>,
    /// The `Content-Type` header, without parameters such as the boundary.
    pub content_type: Option<String>,
    /// The status of the stand-in's own response, even if a fault replaced that response: 200 if the stand-in accepted
    /// the mail. `None` if a fault prevented the stand-in from carrying out the call.
    pub carried_out: Option<u16>,
    /// The status that the caller received. `None` until the call is answered, or if the caller received no response.
    pub answered: Option<u16>,
}

impl SendCall {
    /// The first field with this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
struct MailgunState {
    domain: String,
    api_key: String,
    events_key: String,
    hint: Option<String>,
    mails: Journal<Mail>,
    journal: Journal<SendCall>,
    checks: Arc<AtomicUsize>,
    reads: Journal<ReadCall>,
    webhooks: Webhooks,
    scans: Journal<Scan>,
    link_tokens: Arc<OnceLock<LinkTokens>>,
    lists: Lists,
    lags: Arc<AtomicBool>,
    domain_state: Arc<Mutex<String>>,
    faults: Faults,
    read_faults: Faults,
    supabase_faults: Option<Faults>,
    jobs: Option<watch::Receiver<OpenJobs>>,
    preview: Option<Preview>,
}

/// The running stand-in. It stops when it is dropped.
pub struct Mailgun {
    server: Server,
    state: MailgunState,
    _stop_webhooks: DropGuard,
}

impl Mailgun {
    /// Starts the stand-in on the current runtime.
    ///
    /// # Errors
    /// The stand-in cannot listen on the address, or reqwest cannot build a client.
    pub async fn start(settings: MailgunSettings) -> io::Result<Mailgun> {
        let listener = TcpListener::bind(settings.listen).await?;
        let lists = Lists::default();
        let (webhooks, stop_webhooks) = Webhooks::new(lists.clone()).map_err(io::Error::other)?;
        let state = MailgunState {
            domain: settings.domain,
            api_key: settings.api_key,
            events_key: settings.events_key,
            hint: settings.hint,
            mails: Journal::new(),
            journal: Journal::new(),
            checks: Arc::default(),
            reads: Journal::new(),
            webhooks,
            scans: Journal::new(),
            link_tokens: Arc::default(),
            lists,
            lags: Arc::default(),
            domain_state: Arc::new(Mutex::new("active".to_owned())),
            faults: Faults::new(messages::usual_body),
            read_faults: Faults::new(messages::usual_body),
            supabase_faults: settings.supabase_faults,
            jobs: settings.jobs,
            preview: settings.preview.map(Preview::new),
        };
        let server = Server::start(listener, routes(&state))?;
        Ok(Mailgun { server, state, _stop_webhooks: stop_webhooks })
    }

    /// The base URL of the stand-in, for MAILGUN_BASE_URL. The mailbox page has the same URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// Lets the mailbox page show whether a scanned mail's link still works. Only the first call has an effect.
    pub fn set_link_tokens(&self, tokens: LinkTokens) {
        self.state.link_tokens.set(tokens).ok();
    }

    /// The accepted mails, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.mails.all()
    }

    /// The mails to one address, ignoring case.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.is_to(address));
        mails
    }

    /// Waits for the first mail to an address.
    ///
    /// # Errors
    /// No such mail arrives within `timeout`.
    pub async fn wait_for_mail(&self, address: &str, timeout: Duration) -> Result<Mail, TimedOut> {
        let wanted = format!("a mail to {address}");
        self.state
            .mails
            .wait_for(timeout, &wanted, seen, |mails| mails.iter().find(|mail| mail.is_to(address)).cloned())
            .await
    }

    /// Waits up to 20 s until at least this many mails have been accepted.
    ///
    /// # Errors
    /// Fewer mails were accepted in that time.
    pub async fn wait_for_mails(&self, count: usize) -> Result<Vec<Mail>, TimedOut> {
        self.state.mails.wait_for_count(count, "mails", seen).await
    }

    /// The number of check calls: calls without a recipient, with which the worker tests Mailgun. They are not in the
    /// journal.
    pub fn checks(&self) -> usize {
        self.state.checks.load(Ordering::Relaxed)
    }

    /// The calls so far, oldest first, including the calls to which a fault was applied.
    pub fn journal(&self) -> Vec<SendCall> {
        self.state.journal.all()
    }

    /// Waits up to 20 s until at least this many calls have arrived, answered or not.
    ///
    /// # Errors
    /// Fewer calls arrived in that time.
    pub async fn wait_for_calls(&self, count: usize) -> Result<Vec<SendCall>, TimedOut> {
        self.state.journal.wait_for_count(count, "calls", |calls| format!("{calls:#?}")).await
    }

    /// The faults that apply to the sending endpoint.
    pub fn faults(&self) -> &Faults {
        &self.state.faults
    }
}

fn seen(mails: &[Mail]) -> String {
    let to: Vec<String> = mails.iter().map(|mail| mail.to.join(", ")).collect();
    format!("{} mails, to {to:?}", mails.len())
}

fn routes(state: &MailgunState) -> impl Endpoint + 'static {
    let sending = Route::new().at("/v3/:domain/messages", RouteMethod::new().post(send).data(state.clone()));
    reads::routes(state, sending)
        .nest("/_sandbox/faults", faults::routes(state.faults.clone()))
        .nest_no_strip("/", mailbox::routes(state.clone()))
}

#[handler]
async fn send(Data(state): Data<&MailgunState>, Path(domain): Path<String>, request: &Request, body: Body) -> Response {
    let form = match Form::read(request, body).await {
        Ok(form) => form,
        Err(error) => return messages::message(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    // A request without a recipient is a check call: the worker sends one to test Mailgun.
    if form.to().is_empty() {
        state.checks.fetch_add(1, Ordering::Relaxed);
        let authorization = request.header(header::AUTHORIZATION);
        return state.faults.around_check(|| carry_out(state, authorization, &domain, &form)).await;
    }
    let number = state.journal.add(|_| note(request, &form));
    let authorization = request.header(header::AUTHORIZATION);
    let work = || {
        let response = carry_out(state, authorization, &domain, &form);
        let status = response.status().as_u16();
        state.journal.update(number, |call| call.carried_out = Some(status));
        response
    };
    let response = state.faults.around(&form.addresses(), work).await;
    if response.extensions().get::<Cut>().is_none() {
        let status = response.status().as_u16();
        state.journal.update(number, |call| call.answered = Some(status));
    }
    response
}

fn note(request: &Request, form: &Form) -> SendCall {
    let content_type = request.content_type().unwrap_or_default();
    SendCall {
        at: SystemTime::now(),
        fields: form.fields.clone(),
        user_agent: request.header(header::USER_AGENT).map(str::to_owned),
        content_type: content_type.split(';').next().map(str::to_owned),
        carried_out: None,
        answered: None,
    }
}

fn carry_out(state: &MailgunState, authorization: Option<&str>, domain: &str, form: &Form) -> Response {
    if !messages::is_authorized(authorization, &state.api_key) {
        return messages::forbidden();
    }
    if domain != state.domain {
        let text = format!("Domain not found: {domain}");
        return messages::message(StatusCode::NOT_FOUND, &text);
    }
    match messages::accept(form, domain) {
        Ok(mail) => {
            let id = mail.message_id.clone();
            let number = state.mails.add(|number| Mail { number, ..mail.clone() });
            state.webhooks.start_events(&Mail { number, ..mail });
            messages::queued(&id)
        }
        Err(why) => messages::message(StatusCode::BAD_REQUEST, &why),
    }
}
