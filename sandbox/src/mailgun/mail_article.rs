//! One mail on the mailbox page. All content of the mail is escaped, and its HTML is shown in a frame that runs no
//! scripts and makes no network requests.

use super::{
    SentWebhook,
    mail::{Mail, urls},
    mail_status,
    scan::{self, Scan},
};
use crate::html::escape;
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt::Write;

/// Renders a mail. If `open` is true, the body is initially expanded.
pub(super) fn article(mail: &Mail, webhooks: &[SentWebhook], scans: &[Scan], open: bool) -> String {
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
         <div class=\"body\"><div class=\"actions\">{follow}{scanner}</div>{scan}{views}{fields}</div></details>",
        subject = escape(&mail.subject),
        machine = received.to_rfc3339_opts(SecondsFormat::Millis, true),
        people = received.format("%H:%M:%S UTC"),
        to = escape(&mail.to.join(", ")),
        from = escape(&mail.from),
        told = mail_status::render(number, webhooks),
        follow = follow.unwrap_or_default(),
        scanner = scan::button(mail),
        scan = scan::result(mail, scans),
        views = views(mail),
        fields = fields(mail),
    )
}

/// Renders the mail's HTML and plain text as two tabs that work without scripts.
fn views(mail: &Mail) -> String {
    let number = mail.number;
    let shown = [
        ("html", "HTML", html_view(mail), !mail.html.is_empty()),
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

/// Renders the plain text, with its URLs as links.
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

/// Renders the HTML in a frame that runs no scripts and loads nothing but the mail's embedded images. Its links open in
/// a new tab.
fn html_view(mail: &Mail) -> String {
    let alone = "<meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; \
                 style-src 'unsafe-inline'; img-src data:\"><base target=\"_blank\">";
    let html = mail.inline.iter().fold(mail.html.clone(), |html, part| {
        let data = format!("data:{};base64,{}", part.content_type, STANDARD.encode(&part.bytes));
        html.replace(&format!("cid:{}", part.file_name), &data)
    });
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
         <tr><th scope=\"row\">Message-Id</th><td>{id}</td></tr>{rows}</table></details>"
    )
}
