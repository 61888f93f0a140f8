//! The settings of the sending domain: `GET /v4/domains/{domain}` and `GET /v3/domains/{domain}/webhooks`. The format
//! of the responses comes from Mailgun's OpenAPI document and its own Go client.

use super::json_answer;
use crate::mailgun::MailgunState;
use poem::Response;
use serde_json::{Map, Value, json};
use std::sync::PoisonError;

/// The types of events that the stand-in posts to webhooks.
const TYPES: [&str; 5] = ["accepted", "complained", "delivered", "permanent_fail", "temporary_fail"];

/// Returns the domain, and the DNS records that it needs.
pub(super) fn show(state: &MailgunState) -> Response {
    let domain = &state.domain;
    let record = |kind: &str, name: String, value: &str| json!({"record_type": kind, "valid": "valid", "name": name, "value": value});
    let domain_state = state.domain_state.lock().unwrap_or_else(PoisonError::into_inner).clone();
    json_answer(&json!({
        "domain": {
            "name": domain, "state": domain_state, "is_disabled": false, "type": "custom", "wildcard": false,
            "smtp_login": format!("postmaster@{domain}"),
        },
        "receiving_dns_records": [],
        "sending_dns_records": [
            record("TXT", domain.clone(), "v=spf1 include:mailgun.org ~all"),
            record("TXT", format!("mailo._domainkey.{domain}"), "k=rsa; p=c2FuZGJveA=="),
            record("CNAME", format!("email.{domain}"), "mailgun.org"),
        ],
    }))
}

/// Returns the domain's webhooks: every type of event has the URL that was set with
/// [`Mailgun::set_webhook`](crate::Mailgun::set_webhook). If no URL was set, there are no webhooks.
pub(super) fn webhooks(state: &MailgunState) -> Response {
    let url = state.webhooks.url();
    let entry = |kind: &str, url: &String| (kind.to_owned(), json!({"urls": [url]}));
    let webhooks: Map<String, Value> = url.iter().flat_map(|url| TYPES.map(|kind| entry(kind, url))).collect();
    json_answer(&json!({"webhooks": webhooks}))
}
