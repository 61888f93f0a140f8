//! The mailbox page: the mails, newest first, with their delivery events; the jobs whose mail has not been sent; the
//! buttons that make a stand-in fail; and the buttons that scan a mail. A second tab shows example mails of all
//! portals. Both tabs work without scripts.

use super::{MailgunState, buttons, jobs, mail::Mail, mail_article::article, preview, scan, tabs::Tab};
use crate::html::escape;
use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use poem::{
    Endpoint, EndpointExt, IntoResponse, Request, Response, Route, get, handler,
    http::{StatusCode, header},
    post,
    web::{
        Data, Form, Redirect,
        sse::{Event, SSE},
    },
};
use serde::Deserialize;
use std::time::Duration;
use tokio::sync::watch;

const PAGE: &str = include_str!("mailbox.html");
const STYLE: &str = include_str!("mailbox.css");
const SCRIPT: &str = include_str!("mailbox.js");
const SCAN_SCRIPT: &str = include_str!("scan.js");

/// Maximum number of mails shown.
const SHOWN: usize = 100;

/// The routes of the page and of its files, events and buttons.
pub(super) fn routes(state: MailgunState) -> impl Endpoint<Output = Response> {
    let route = Route::new()
        .at("/", get(page))
        .at("/mailbox.css", get(style))
        .at("/mailbox.js", get(script))
        .at("/scan.js", get(scan_script))
        .at("/events", get(events))
        .at("/faults", post(press));
    let route = match &state.preview {
        Some(preview) => preview::routes(route, preview.clone()),
        None => route,
    };
    scan::routes(route).data(state).around(|pages, request| async move {
        match is_same_origin(&request) {
            true => pages.call(request).await.map(IntoResponse::into_response),
            false => Ok(StatusCode::FORBIDDEN.into_response()),
        }
    })
}

/// False for a request from another site's page. Such a page could reach loopback through its own host name (DNS
/// rebinding, which shows in `Host`) or post a form (which shows in `Origin`).
fn is_same_origin(request: &Request) -> bool {
    let host = request.header(header::HOST).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let loopback = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let same_origin = |origin| origin == format!("http://{host}");
    loopback && request.header(header::ORIGIN).is_none_or(same_origin)
}

#[handler]
fn page(Data(state): Data<&MailgunState>) -> Response {
    let mails = state.mails.all();
    let mut faults = buttons::render("mailgun", "Mailgun", &state.faults);
    if let Some(supabase) = &state.supabase_faults {
        faults += &buttons::render("supabase", "Supabase Auth", supabase);
    }
    let open = is_broken(state);
    let waiting = state.jobs.as_ref().map(|jobs| jobs::render(&jobs.borrow())).unwrap_or_default();
    // Insert the mails last, so that placeholders in a mail's text are not replaced.
    let page = PAGE
        .replace("{{tabs}}", &state.preview.as_ref().map(|_| Tab::Inbox.render()).unwrap_or_default())
        .replace("{{summary}}", &summary(mails.len()))
        .replace("{{open}}", if open { " open" } else { "" })
        .replace("{{faults}}", &faults)
        .replace("{{jobs}}", &waiting)
        .replace("{{mails}}", &articles(state, &mails));
    Response::builder()
        .content_type("text/html; charset=utf-8")
        .header("cache-control", "no-store")
        .header("referrer-policy", "no-referrer")
        .header(
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
             img-src data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'",
        )
        .body(page)
}

/// Whether a stand-in has queued faults, or a fault made its last call fail.
fn is_broken(state: &MailgunState) -> bool {
    let all = [Some(&state.faults), state.supabase_faults.as_ref()];
    all.into_iter().flatten().any(|faults| !faults.list().is_empty() || faults.last_failure().is_some())
}

fn summary(count: usize) -> String {
    match count {
        0 => "no mail yet".into(),
        1 => "1 mail".into(),
        count if count > SHOWN => format!("{count} mails, the newest {SHOWN} shown"),
        count => format!("{count} mails"),
    }
}

fn articles(state: &MailgunState, mails: &[Mail]) -> String {
    if mails.is_empty() {
        return empty(state.hint.as_deref());
    }
    let (webhooks, scans) = (state.webhooks.events().all(), state.scans.all());
    let newest_first = mails.iter().rev().take(SHOWN).enumerate();
    newest_first.map(|(place, mail)| article(mail, &webhooks, &scans, place == 0)).collect()
}

fn empty(hint: Option<&str>) -> String {
    let how = match hint {
        Some(command) => format!(
            "<p>To request a sign-in mail, paste this into a terminal. The mail appears here automatically.\
             </p><pre>{}</pre>",
            escape(command)
        ),
        None => "<p>Mails sent through this Mailgun stand-in appear here automatically.</p>".into(),
    };
    format!("<section class=\"empty\"><h2>No mail yet</h2>{how}</section>")
}

#[handler]
fn style() -> Response {
    Response::builder().content_type("text/css; charset=utf-8").body(STYLE)
}

#[handler]
fn script() -> Response {
    Response::builder().content_type("text/javascript; charset=utf-8").body(SCRIPT)
}

#[handler]
fn scan_script() -> Response {
    Response::builder().content_type("text/javascript; charset=utf-8").body(SCAN_SCRIPT)
}

/// Sends an event for every change to the mails, their webhooks, their scans, the faults or the jobs.
#[handler]
fn events(Data(state): Data<&MailgunState>) -> SSE {
    SSE::new(changes(state)).keep_alive(Duration::from_secs(15))
}

fn changes(state: &MailgunState) -> impl Stream<Item = Event> + Send + 'static {
    let watched = [
        Some(events_of(state.mails.changes())),
        Some(events_of(state.webhooks.events().changes())),
        Some(events_of(state.scans.changes())),
        Some(events_of(state.faults.changes())),
        state.supabase_faults.as_ref().map(|faults| events_of(faults.changes())),
        state.jobs.clone().map(events_of),
    ];
    stream::select_all(watched.into_iter().flatten())
}

fn events_of<T: Send + Sync + 'static>(changes: watch::Receiver<T>) -> BoxStream<'static, Event> {
    stream::unfold(changes, |mut changes| async {
        changes.changed().await.ok()?;
        Some((Event::message("changed"), changes))
    })
    .boxed()
}

#[derive(Debug, Deserialize)]
struct Press {
    target: String,
    fault: String,
}

#[handler]
fn press(Data(state): Data<&MailgunState>, Form(press): Form<Press>) -> Response {
    let faults = match press.target.as_str() {
        "supabase" => state.supabase_faults.as_ref(),
        _ => Some(&state.faults),
    };
    match faults {
        Some(faults) if buttons::press(faults, &press.fault) => Redirect::see_other("/").into_response(),
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}
