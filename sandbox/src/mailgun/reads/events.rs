//! Mailgun's two lists of events: `events`, and its successor, `logs`. The format of both lists comes from Mailgun's
//! OpenAPI document. The filter `message-id` for logs is not in the document, but Mailgun's own client sends it.

use super::{json_answer, page::PageQuery};
use crate::mailgun::{MailgunState, messages::message};
use poem::{Response, http::StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

/// Returns the first page of `GET /v3/{domain}/events?…`.
pub(super) fn first_page(state: &MailgunState, base: &str, domain: &str, query: &str) -> Response {
    let mut wanted = PageQuery { limit: 100, ..PageQuery::default() };
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "message-id" => wanted.message_id = value.into_owned(),
            "recipient" => wanted.recipient = value.into_owned(),
            "event" => wanted.events = value.split(" OR ").map(str::to_owned).collect(),
            "limit" => wanted.limit = value.parse().unwrap_or_default(),
            _ => {}
        }
    }
    if !(1..=300).contains(&wanted.limit) {
        return message(StatusCode::BAD_REQUEST, "limit must be between 1 and 300");
    }
    list(state, base, domain, &wanted)
}

/// Returns the page with this token. A page after the last event is empty, not an error.
pub(super) fn page(state: &MailgunState, base: &str, domain: &str, token: &str) -> Response {
    match PageQuery::from_token(token) {
        Some(wanted) => list(state, base, domain, &wanted),
        None => message(StatusCode::BAD_REQUEST, "invalid page"),
    }
}

fn list(state: &MailgunState, base: &str, domain: &str, wanted: &PageQuery) -> Response {
    let (items, next, _) = wanted.of(events(state));
    let address = |page: &PageQuery| format!("{base}/v3/{domain}/events/{}", page.token());
    let first = PageQuery { offset: 0, ..wanted.clone() };
    let paging = json!({
        "next": address(&next), "previous": address(&first), "first": address(&first), "last": address(&next),
    });
    json_answer(&json!({"items": items, "paging": paging}))
}

/// Returns a page of `POST /v1/analytics/logs`.
pub(super) fn logs(state: &MailgunState, question: &Value) -> Response {
    let token = question.pointer("/pagination/token").and_then(Value::as_str).unwrap_or_default();
    let wanted = match token {
        "" => asked(question),
        token => PageQuery::from_token(token),
    };
    let Some(wanted) = wanted.filter(|wanted| (1..=100).contains(&wanted.limit)) else {
        return message(StatusCode::BAD_REQUEST, "invalid filter or pagination");
    };
    let (items, next, total) = wanted.of(events(state));
    let next = if items.is_empty() { String::new() } else { next.token() };
    let pagination = json!({"previous": "", "next": next, "first": "", "last": "", "total": total});
    json_answer(&json!({
        "start": question["start"], "end": question["end"], "items": items, "pagination": pagination,
    }))
}

fn asked(question: &Value) -> Option<PageQuery> {
    let strings = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    question["start"].as_str()?;
    let limit = question.pointer("/pagination/limit").and_then(Value::as_u64).unwrap_or(100);
    let mut wanted =
        PageQuery { events: strings(&question["events"]), limit: limit.try_into().ok()?, ..PageQuery::default() };
    for filter in question.pointer("/filter/AND").and_then(Value::as_array).into_iter().flatten() {
        let value = filter.pointer("/values/0/value").and_then(Value::as_str)?.to_owned();
        match filter["attribute"].as_str()? {
            "message-id" => wanted.message_id = value,
            "recipient" => wanted.recipient = value,
            "event" => wanted.events = vec![value],
            "domain" => {}
            _ => return None,
        }
    }
    Some(wanted)
}

fn events(state: &MailgunState) -> Vec<Value> {
    if state.lags.load(Ordering::Relaxed) {
        return Vec::new();
    }
    state.webhooks.events().all().iter().map(|event| event.event_data().clone()).collect()
}
