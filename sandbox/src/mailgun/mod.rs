//! A stand-in for Mailgun: `POST /v3/{domain}/messages`, signed webhooks, lists of events and suppressions, a mailbox page at `/` that shows what was
//! sent, and faults (`/_sandbox/faults`, or the page's buttons). All in memory.

mod buttons;
mod jobs;
mod lists;
mod mail;
mod mailbox;
mod messages;
mod reads;
mod told;
mod webhooks;

pub use jobs::{OpenJob, OpenJobs};
pub use lists::SuppressionList;
pub use mail::Mail;
pub use reads::ReadCall;
pub use webhooks::{SentWebhook, Signing, WebhookError, signed};

use crate::{
    faults::{self, Faults},
    journal::{Journal, TimedOut},
    server::{Cut, Server},
};
use lists::Lists;
use messages::Form;
use poem::{
    Body, Endpoint, EndpointExt, Request, Response, Route, RouteMethod, handler,
    http::{StatusCode, header},
    web::{Data, Path},
};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::DropGuard;
use webhooks::Webhooks;

/// How the stand-in is set up.
#[derive(Clone, Debug)]
pub struct MailgunSettings {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The only domain that it sends for.
    pub domain: String,
    /// The only key that may send.
    pub api_key: String,
    /// The only key that may ask for events, and read and change suppressions.
    pub events_key: String,
    /// A command that makes a mail; the empty mailbox shows it.
    pub hint: Option<String>,
    /// The other stand-in's faults, for buttons on the same page.
    pub supabase_faults: Option<Faults>,
    /// Tells the page which jobs have no mail yet.
    pub jobs: Option<watch::Receiver<OpenJobs>>,
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
        }
    }
}

/// A call of `/v3/{domain}/messages`.
#[derive(Clone, Debug)]
pub struct SendCall {
    /// When it came.
    pub at: SystemTime,
    /// The form's fields in the order sent.
    pub fields: Vec<(String, String)>,
    /// The header of that name.
    pub user_agent: Option<String>,
    /// The header of that name, without parameters such as the boundary.
    pub content_type: Option<String>,
    /// The status with which the call was carried out, 200 being a mail taken; none when a fault kept
    /// it from being.
    pub carried_out: Option<u16>,
    /// The status that the caller got; none while, or because, no answer came.
    pub answered: Option<u16>,
}

impl SendCall {
    /// The first field of this name.
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
    lists: Lists,
    lags: Arc<AtomicBool>,
    faults: Faults,
    read_faults: Faults,
    supabase_faults: Option<Faults>,
    jobs: Option<watch::Receiver<OpenJobs>>,
}

/// The running stand-in; dropping it closes it.
pub struct Mailgun {
    server: Server,
    state: MailgunState,
    _stop_webhooks: DropGuard,
}

impl Mailgun {
    /// Starts it; it runs on the current runtime.
    ///
    /// # Errors
    /// When the address is taken.
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
            lists,
            lags: Arc::default(),
            faults: Faults::new(messages::usual_body),
            read_faults: Faults::new(messages::usual_body),
            supabase_faults: settings.supabase_faults,
            jobs: settings.jobs,
        };
        let server = Server::start(listener, routes(&state))?;
        Ok(Mailgun { server, state, _stop_webhooks: stop_webhooks })
    }

    /// Its address, as MAILGUN_BASE_URL wants it; the mailbox page's too.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The mails taken so far, oldest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.state.mails.all()
    }

    /// Those to one address, letter case aside.
    pub fn mails_to(&self, address: &str) -> Vec<Mail> {
        let mut mails = self.mails();
        mails.retain(|mail| mail.is_to(address));
        mails
    }

    /// The first mail to an address, as soon as it is there.
    ///
    /// # Errors
    /// When none comes within `patience`.
    pub async fn wait_for_mail(&self, address: &str, patience: Duration) -> Result<Mail, TimedOut> {
        let wanted = format!("a mail to {address}");
        self.state
            .mails
            .wait_for(patience, &wanted, seen, |mails| mails.iter().find(|mail| mail.is_to(address)).cloned())
            .await
    }

    /// Waits up to 20 s until this many mails were taken.
    ///
    /// # Errors
    /// When there were fewer.
    pub async fn wait_for_mails(&self, count: usize) -> Result<Vec<Mail>, TimedOut> {
        self.state.mails.wait_for_count(count, "mails", seen).await
    }

    /// The number of mails without a recipient so far. They ask about the server, and are not in the journal.
    pub fn checks(&self) -> usize {
        self.state.checks.load(Ordering::Relaxed)
    }

    /// The calls so far, oldest first, those included that a fault struck.
    pub fn journal(&self) -> Vec<SendCall> {
        self.state.journal.all()
    }

    /// Waits up to 20 s until there were this many calls, answered or not.
    ///
    /// # Errors
    /// When there were fewer.
    pub async fn wait_for_calls(&self, count: usize) -> Result<Vec<SendCall>, TimedOut> {
        self.state.journal.wait_for_count(count, "calls", |calls| format!("{calls:#?}")).await
    }

    /// What goes wrong in its calls.
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
    // A mail without a recipient asks about the server.
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
        fields: form.0.clone(),
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
            state.webhooks.tell_of(&Mail { number, ..mail });
            messages::queued(&id)
        }
        Err(why) => messages::message(StatusCode::BAD_REQUEST, &why),
    }
}
