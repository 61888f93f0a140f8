//! `POST /v3/{domain}/messages`: what Mailgun accepts and rejects, according to its OpenAPI document, its manual and
//! its official clients.

use super::mail::{InlinePart, Mail, bare_address, is_address, recipients};
use base64::{Engine, engine::general_purpose::STANDARD};
use poem::{Body, FromRequest, Request, RequestBody, Response, http::StatusCode, web::Multipart};
use serde_json::json;
use std::time::SystemTime;

/// The form of a request that sends a mail.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// The fields in the order sent. A name can occur more than once.
    pub(super) fields: Vec<(String, String)>,
    /// The files in `inline` fields.
    inline: Vec<InlinePart>,
}

impl Form {
    /// Reads a multipart/form-data body, which the official clients send, or a urlencoded one, which many other clients
    /// send.
    pub(super) async fn read(request: &Request, body: Body) -> poem::Result<Form> {
        let multipart = request.content_type().is_some_and(|kind| kind.starts_with("multipart/form-data"));
        if multipart {
            let mut body = RequestBody::new(body);
            return Form::from_parts(Multipart::from_request(request, &mut body).await?).await;
        }
        let body = body.into_bytes().await?;
        let fields = url::form_urlencoded::parse(&body);
        Ok(Form { fields: fields.into_owned().collect(), inline: Vec::new() })
    }

    async fn from_parts(mut parts: Multipart) -> poem::Result<Form> {
        let mut form = Form::default();
        while let Some(part) = parts.next_field().await? {
            let name = part.name().unwrap_or_default().to_owned();
            if let ("inline", Some(file_name)) = (name.as_str(), part.file_name().map(str::to_owned)) {
                let content_type = part.content_type().unwrap_or_default().to_owned();
                form.inline.push(InlinePart { file_name, content_type, bytes: part.bytes().await? });
                continue;
            }
            let value = part.bytes().await?;
            form.fields.push((name, String::from_utf8_lossy(&value).into_owned()));
        }
        Ok(form)
    }

    fn first(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The fields whose name starts with a prefix such as `h:`, without the prefix.
    fn under(&self, prefix: &str) -> Vec<(String, String)> {
        self.fields
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?.to_owned(), value.clone())))
            .collect()
    }

    /// All recipients in `to`.
    pub(super) fn to(&self) -> Vec<String> {
        self.all("to").flat_map(recipients).collect()
    }

    /// The bare addresses of all recipients, to find the faults that apply to one of them.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.to().iter().map(|to| bare_address(to).to_owned()).collect()
    }
}

/// Checks basic authentication: the user is `api`, and the password is the API key.
pub(super) fn is_authorized(header: Option<&str>, api_key: &str) -> bool {
    header
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .is_some_and(|pair| pair == format!("api:{api_key}").as_bytes())
}

/// Accepts the mail, or returns Mailgun's error message.
pub(super) fn accept(form: &Form, domain: &str) -> Result<Mail, String> {
    check(form)?;
    Ok(Mail {
        number: 0,
        received: SystemTime::now(),
        from: form.first("from").to_owned(),
        to: form.to(),
        subject: form.first("subject").to_owned(),
        text: form.first("text").to_owned(),
        html: form.first("html").to_owned(),
        headers: form.under("h:"),
        options: form.under("o:"),
        variables: form.under("v:"),
        inline: form.inline.clone(),
        message_id: message_id(form, domain),
    })
}

const MAX_RECIPIENTS: usize = 1000;
const MAX_OPTION_BYTES: usize = 16 * 1024;
const BODY_PARTS: [&str; 4] = ["text", "html", "amp-html", "template"];

fn check(form: &Form) -> Result<(), String> {
    address_list("from", &[form.first("from").to_owned()])?;
    let to = form.to();
    address_list("to", &to)?;
    if to.len() > MAX_RECIPIENTS {
        return Err("to parameter has more than 1000 recipients".into());
    }
    if form.first("subject").is_empty() && form.first("template").is_empty() {
        return Err("subject parameter is missing".into());
    }
    if BODY_PARTS.iter().all(|part| form.first(part).is_empty()) {
        let message = "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters \
                       specified.";
        return Err(message.into());
    }
    check_options(form)
}

fn address_list(name: &str, addresses: &[String]) -> Result<(), String> {
    if addresses.iter().all(String::is_empty) {
        return Err(format!("{name} parameter is missing"));
    }
    if !addresses.iter().all(|address| is_address(address)) {
        return Err(format!("{name} parameter is not a valid address. please check documentation"));
    }
    Ok(())
}

fn check_options(form: &Form) -> Result<(), String> {
    let options = ["o:", "h:", "v:", "t:"];
    let is_option = |name: &str| options.iter().any(|prefix| name.starts_with(prefix));
    let bytes: usize =
        form.fields.iter().filter(|(name, _)| is_option(name)).map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_OPTION_BYTES {
        return Err("total size of o:, h:, v: and t: parameters exceeds 16 kB limit".into());
    }
    if form.under("h:").iter().any(|(name, _)| !name.is_ascii()) {
        return Err("header names must be ASCII".into());
    }
    if form.all("o:tag").any(|tag| !tag.is_ascii() || tag.len() > 128) {
        return Err("o:tag parameter must be ASCII and at most 128 characters".into());
    }
    if form.all("o:deliver-within").any(|value| !is_delivery_window(value)) {
        let message = "o:deliver-within parameter must be [h]h[m]m, from 5m to 24h";
        return Err(message.into());
    }
    Ok(())
}

/// Whether the value has the form `1h`, `30m` or `1h30m`, and is from 5 minutes to 24 hours.
fn is_delivery_window(value: &str) -> bool {
    let (hours, minutes) = match value.split_once('h') {
        Some((hours, "")) => (hours.parse::<u32>().ok(), Some(0)),
        Some((hours, minutes)) => (hours.parse().ok(), whole_minutes(minutes)),
        None => (Some(0), whole_minutes(value)),
    };
    let total = hours.zip(minutes).and_then(|(hours, minutes)| hours.checked_mul(60)?.checked_add(minutes));
    total.is_some_and(|total| (5..=24 * 60).contains(&total))
}

fn whole_minutes(value: &str) -> Option<u32> {
    value.strip_suffix('m')?.parse().ok()
}

/// The caller's Message-Id if it is well-formed, otherwise a new one.
fn message_id(form: &Form, domain: &str) -> String {
    let given =
        form.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case("h:Message-Id")).map(|(_, value)| value.trim());
    match given {
        Some(id) if is_message_id(id) => id.to_owned(),
        _ => format!("<{:032x}@{domain}>", rand::random::<u128>()),
    }
}

fn is_message_id(id: &str) -> bool {
    let inner = id.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    let plain = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_graphic() && !"<>@".contains(c));
    inner.and_then(|inner| inner.split_once('@')).is_some_and(|(left, right)| plain(left) && plain(right))
}

/// A response whose body is a JSON object with a `message`, like most of Mailgun's responses.
pub(super) fn message(status: StatusCode, text: &str) -> Response {
    Response::builder().status(status).content_type("application/json").body(json!({"message": text}).to_string())
}

pub(super) fn queued(message_id: &str) -> Response {
    let body = json!({"id": message_id, "message": "Queued. Thank you."});
    Response::builder().content_type("application/json").body(body.to_string())
}

/// A 401, whose body is plain text and not JSON.
pub(super) fn forbidden() -> Response {
    Response::builder().status(StatusCode::UNAUTHORIZED).content_type("text/plain; charset=utf-8").body("Forbidden")
}

/// The body that Mailgun usually sends with this status. Used for faults without a body.
pub(super) fn usual_body(status: u16) -> String {
    let text = match status {
        401 => return "Forbidden".into(),
        402 => "Payment Required",
        403 => "Domain is not allowed to send: Account disabled",
        413 => "request size exceeds 52.4MiB limit",
        420 | 429 => "Domain is not allowed to send: request limit exceeded, try again after 10 seconds",
        _ => "Internal Server Error",
    };
    json!({"message": text}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_window_is_hours_and_minutes_between_five_minutes_and_a_day() {
        for (value, valid) in [
            ("5m", true),
            ("55m", true),
            ("1h", true),
            ("1h30m", true),
            ("24h", true),
            ("4m", false),
            ("24h1m", false),
            ("60", false),
            ("1d", false),
            ("h", false),
            ("", false),
            ("1m1h", false),
        ] {
            assert_eq!(is_delivery_window(value), valid, "{value}");
        }
    }

    #[test]
    fn only_a_well_formed_message_id_is_kept() {
        for (id, valid) in [
            ("<job@mg.example.com>", true),
            ("job@mg.example.com", false),
            ("<job>", false),
            ("<a b@c>", false),
            ("<a@b@c>", false),
        ] {
            assert_eq!(is_message_id(id), valid, "{id}");
        }
    }
}
