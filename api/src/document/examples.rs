//! Examples of requests, fields and answers. The answers are made by whatever makes the real ones.

use std::time::Duration;

use poem_openapi::types::ToJSON as _;
use serde_json::{Map, Value, json};

use super::pointers::{OPERATION, WEBHOOK, set};
use crate::{
    callback::{next, source},
    http::{
        error::{ErrorCode, ErrorResponse},
        json_body, paths,
    },
    ip_limit::middleware,
    send_magic_link, webhook,
};

/// How long the examples of refusals ask to wait.
const WAIT: Duration = Duration::from_secs(30);

/// Adds all of them.
pub(super) fn add(document: &mut Value) {
    add_fields(document);
    let request = json!({
        "email": "hello@example.com", "callback_origin": "https://example.com", "callback_next": "example",
    });
    set(document, &format!("{OPERATION}/requestBody/content/application~1json"), "example", request);
    set(document, &format!("{WEBHOOK}/requestBody/content/application~1json"), "example", event());
    add_answers(document, OPERATION, of_links());
    add_answers(document, WEBHOOK, of_webhooks());
}

/// Fields of answers, by schema and name.
fn add_fields(document: &mut Value) {
    let message = "Enter an email address.";
    let examples = [
        ("MagicLinkAccepted", "ok", json!(true)),
        ("EventTaken", "ok", json!(true)),
        ("ApiError", "error", json!(message)),
        ("ApiError", "fieldErrors", json!({ "email": message })),
        ("ApiError", "issues", json!([{ "path": "email", "message": message }])),
        ("ApiError", "retryAfter", json!(WAIT.as_secs())),
        ("ValidationIssue", "path", json!("email")),
        ("ValidationIssue", "message", json!(message)),
    ];
    for (schema, field, example) in examples {
        set(document, &format!("/components/schemas/{schema}/properties/{field}"), "example", example);
    }
    set(document, "/components/schemas/ErrorCode", "example", json!("invalid_request"));
}

/// A refusal, and in a word when it comes.
type Example = (&'static str, ErrorResponse);

fn of_links() -> Vec<Example> {
    let not_an_address =
        send_magic_link::request::MagicLinkRequest::parse(br#"{"email":"hello@"}"#).map(|body| body.issues);
    vec![
        ("The body is no JSON", send_magic_link::request::not_json()),
        ("A field is wrong", ErrorResponse::invalid(ErrorCode::InvalidRequest, not_an_address.unwrap_or_default())),
        ("No source names an allowed origin", source::required().into()),
        ("The origin is not allowed", source::not_allowed("callback_origin").into()),
        (
            "The place may lie outside the portal",
            ErrorResponse::invalid(ErrorCode::CallbackNextUnsafe, vec![next::UnsafeCallbackNext.issue()]),
        ),
        ("Another method", ErrorResponse::method_not_allowed(paths::METHODS)),
        ("Too many bytes", json_body::too_large(paths::PATH)),
        ("Not JSON by its header", json_body::unsupported()),
        ("Too many requests from this network", middleware::limited(WAIT.into())),
        ("Too many mails for this address", send_magic_link::handler::limited(WAIT.into())),
        ("A fault of ours", ErrorResponse::internal()),
        ("Out of service for the moment", ErrorResponse::unavailable()),
    ]
}

fn of_webhooks() -> Vec<Example> {
    vec![
        ("The body is no JSON", webhook::request::not_json()),
        ("Not signed by the domain's key", webhook::handler::badly_signed()),
        ("No webhooks are taken here", ErrorResponse::not_found()),
        ("Another method", ErrorResponse::method_not_allowed(paths::WEBHOOK_METHODS)),
        ("Never to be sent again", webhook::handler::token_reused()),
        ("Too many bytes", json_body::too_large(paths::WEBHOOK_PATH)),
        ("Not JSON by its header", json_body::unsupported()),
        ("A fault of ours", ErrorResponse::internal()),
        ("Out of service for the moment", ErrorResponse::unavailable()),
    ]
}

/// Each refusal beside the status that it comes with, by its code.
fn add_answers(document: &mut Value, operation: &str, refusals: Vec<Example>) {
    set(document, &answer(operation, 200), "example", json!({ "ok": true }));
    let mut by_status: Map<String, Value> = Map::new();
    for (summary, refusal) in refusals {
        let (status, name) = (refusal.code.status().as_u16(), refusal.code.name());
        let examples = by_status.entry(status.to_string()).or_insert_with(|| json!({}));
        examples[name] = json!({ "summary": summary, "value": refusal.into_body().to_json() });
    }
    for (status, examples) in by_status {
        set(document, &answer(operation, &status), "examples", examples);
    }
}

fn answer(operation: &str, status: impl std::fmt::Display) -> String {
    format!("{operation}/responses/{status}/content/application~1json")
}

/// What Mailgun posts when a mail has arrived, shortened.
fn event() -> Value {
    json!({
        "signature": {
            "timestamp": "1764021600",
            "token": "0123456789abcdef0123456789abcdef0123456789abcdef01",
            "signature": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        },
        "event-data": {
            "event": "delivered",
            "id": "CPgfbmQMTCKtHW6uIWtuVe",
            "timestamp": 1_764_021_600.25,
            "recipient": "hello@example.com",
            "message": { "headers": { "message-id": "019366a0-5c5e-7d6e-9f5b-3f1c2a7b8d90@mg.example.com" } },
            "user-variables": { "job_id": "019366a0-5c5e-7d6e-9f5b-3f1c2a7b8d90" },
        },
    })
}
