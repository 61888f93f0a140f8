//! The mailbox page: the mails, newest first, with their delivery events; the jobs without a mail; and the buttons that
//! make a stand-in fail. It works without scripts. All content of a mail is escaped, and its HTML is shown in a frame
//! that runs and loads nothing.

use super::{
    MailgunState, SentWebhook, buttons, jobs,
    mail::{Mail, urls},
    mail_status,
};
use crate::html::escape;
use chrono::{DateTime, SecondsFormat, Utc};
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
use std::{fmt::Write, time::Duration};
use tokio::sync::watch;

const PAGE: &str = include_str!("mailbox.html");
const STYLE: &str = include_str!("mailbox.css");
const SCRIPT: &str = include_str!("mailbox.js");

/// Maximum number of mails shown.
const SHOWN: usize = 100;

/// The routes of the page and of its files, events and buttons.
pub(super) fn routes(state: MailgunState) -> impl Endpoint<Output = Response> {
    Route::new()
        .at("/", get(page))
        .at("/mailbox.css", get(style))
        .at("/mailbox.js", get(script))
        .at("/events", get(events))
        .at("/faults", post(press))
        .data(state)
        .around(|pages, request| async move {
            match is_same_origin(&request) {
                true => pages.call(request).await.map(IntoResponse::into_response),
                false => Ok(StatusCode::FORBIDDEN.into_response()),
            }
        })
}

/// Keeps other sites' pages out. They could reach loopback through a name of their own (DNS rebinding, visible in Host)
/// or post a form (visible in Origin).
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
    // Insert the mails last, so that nothing in them is taken for a placeholder.
    let page = PAGE
        .replace("{{summary}}", &summary(mails.len()))
        .replace("{{open}}", if open { " open" } else { "" })
        .replace("{{faults}}", &faults)
        .replace("{{jobs}}", &waiting)
        .replace("{{mails}}", &articles(&mails, &state.webhooks.events().all(), state.hint.as_deref()));
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

/// Whether a stand-in fails now or failed in its last call.
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

fn articles(mails: &[Mail], webhooks: &[SentWebhook], hint: Option<&str>) -> String {
    if mails.is_empty() {
        return empty(hint);
    }
    let newest_first = mails.iter().rev().take(SHOWN).enumerate();
    newest_first.map(|(place, mail)| article(mail, webhooks, place == 0)).collect()
}

fn empty(hint: Option<&str>) -> String {
    let how = match hint {
        Some(command) => format!(
            "<p>Ask for a sign-in mail: paste this into a terminal. The mail appears here by itself.\
             </p><pre>{}</pre>",
            escape(command)
        ),
        None => "<p>Mails sent through this Mailgun appear here by themselves.</p>".into(),
    };
    format!("<section class=\"empty\"><h2>No mail yet</h2>{how}</section>")
}

fn article(mail: &Mail, webhooks: &[SentWebhook], open: bool) -> String {
    let number = mail.number;
    let open = if open { " open" } else { "" };
    let received = DateTime::<Utc>::from(mail.received);
    let follow = mail.link().map(|link| {
        let link = escape(link);
        format!(
            "<a class=\"follow\" href=\"{link}\" target=\"_blank\" rel=\"noopener noreferrer\">\
             Open the link</a>"
        )
    });
    format!(
        "<details class=\"mail\" id=\"mail-{number}\"{open}><summary><h2>{subject}</h2>\
         <time datetime=\"{machine}\">{people}</time>\
         <span class=\"to\">to <strong>{to}</strong> from {from}</span>{told}</summary>\
         <div class=\"body\">{follow}{views}{fields}</div></details>",
        subject = escape(&mail.subject),
        machine = received.to_rfc3339_opts(SecondsFormat::Millis, true),
        people = received.format("%H:%M:%S UTC"),
        to = escape(&mail.to.join(", ")),
        from = escape(&mail.from),
        told = mail_status::render(number, webhooks),
        follow = follow.unwrap_or_default(),
        views = views(mail),
        fields = fields(mail),
    )
}

/// The mail's HTML and text behind two labels, which work without scripts.
fn views(mail: &Mail) -> String {
    let number = mail.number;
    let shown = [
        ("html", "HTML", html_view(&mail.html), !mail.html.is_empty()),
        ("text", "Text", text_view(&mail.text), !mail.text.is_empty()),
    ];
    let mut views = String::from("<div class=\"views\">");
    let present = shown.into_iter().filter(|(.., present)| *present);
    for (place, (name, label, view, _)) in present.enumerate() {
        let checked = if place == 0 { " checked" } else { "" };
        let id = format!("{name}-{number}");
        // Writing into a String cannot fail.
        write!(
            views,
            "<input type=\"radio\" name=\"view-{number}\" id=\"{id}\"{checked}>\
             <label for=\"{id}\">{label}</label><div class=\"view\">{view}</div>"
        )
        .ok();
    }
    views + "</div>"
}

/// The text, with its URLs as links.
fn text_view(text: &str) -> String {
    let mut view = String::from("<pre>");
    let mut rest = text;
    for url in urls(text) {
        let Some((before, after)) = rest.split_once(url) else {
            continue;
        };
        let link = escape(url);
        view += &escape(before);
        write!(view, "<a href=\"{link}\" target=\"_blank\" rel=\"noopener noreferrer\">{link}</a>").ok();
        rest = after;
    }
    view + &escape(rest) + "</pre>"
}

/// The HTML in a frame that runs no scripts and loads nothing. Its links open in a new tab.
fn html_view(html: &str) -> String {
    let alone = "<meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; \
                 style-src 'unsafe-inline'; img-src data:\"><base target=\"_blank\">";
    let document = escape(&format!("{alone}{html}"));
    format!(
        "<iframe title=\"The mail's HTML\" sandbox=\"allow-popups allow-popups-to-escape-sandbox \
         allow-top-navigation-by-user-activation\" srcdoc=\"{document}\"></iframe>"
    )
}

fn fields(mail: &Mail) -> String {
    let rows: String = [("h:", &mail.headers), ("o:", &mail.options), ("v:", &mail.variables)]
        .into_iter()
        .flat_map(|(prefix, fields)| fields.iter().map(move |field| (prefix, field)))
        .map(|(prefix, (name, value))| {
            let (name, value) = (escape(name), escape(value));
            format!("<tr><th scope=\"row\">{prefix}{name}</th><td>{value}</td></tr>")
        })
        .collect();
    let id = escape(&mail.message_id);
    format!(
        "<details class=\"fields\"><summary>Headers, options, variables</summary><table>\
         <tr><th scope=\"row\">id answered</th><td>{id}</td></tr>{rows}</table></details>"
    )
}

#[handler]
fn style() -> Response {
    Response::builder().content_type("text/css; charset=utf-8").body(STYLE)
}

#[handler]
fn script() -> Response {
    Response::builder().content_type("text/javascript; charset=utf-8").body(SCRIPT)
}

/// Sends an event for every change of the mails, their webhooks, the faults or the jobs.
#[handler]
fn events(Data(state): Data<&MailgunState>) -> SSE {
    SSE::new(changes(state)).keep_alive(Duration::from_secs(15))
}

fn changes(state: &MailgunState) -> impl Stream<Item = Event> + Send + 'static {
    let watched = [
        Some(events_of(state.mails.changes())),
        Some(events_of(state.webhooks.events().changes())),
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
