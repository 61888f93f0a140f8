//! Examples of requests, fields and responses. The examples of errors are created by the functions that create the real
//! error responses.

use std::time::Duration;

use outbox::EmailError;
use poem_openapi::types::ToJSON as _;
use serde_json::{Map, Value, json};

use super::pointers::{SEND_MAGIC_LINK, WEBHOOK, set};
use crate::{
    callback::{next::UnsafeCallbackNext, source},
    http::{
        error::{ErrorCode, ErrorResponse},
        issue_code::IssueCode,
        json_body::{self, JsonRequest as _},
        paths,
    },
    ip_limit::middleware,
    send_magic_link::{self, request::MagicLinkRequest},
    webhook,
};

/// `retryAfter` in the examples of rate-limited responses.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Adds all examples to the document.
pub(super) fn add(document: &mut Value) {
    add_field_examples(document);
    let request = json!({
        "email": "hello@example.com", "callback_origin": "https://example.com", "callback_next": "example",
    });
    set(document, &format!("{SEND_MAGIC_LINK}/requestBody/content/application~1json"), "example", request);
    set(document, &format!("{WEBHOOK}/requestBody/content/application~1json"), "example", webhook_example());
    add_response_examples(document, SEND_MAGIC_LINK, send_magic_link_errors());
    add_response_examples(document, WEBHOOK, webhook_errors());
}

/// Adds examples to the fields of the response schemas.
fn add_field_examples(document: &mut Value) {
    let (message, code) = (EmailError::Empty.to_string(), IssueCode::EmailRequired.as_str());
    let examples = [
        ("MagicLinkAccepted", "ok", json!(true)),
        ("EventTaken", "ok", json!(true)),
        ("ApiError", "error", json!(message)),
        ("ApiError", "fieldErrors", json!({ "email": message })),
        ("ApiError", "issues", json!([{ "path": "email", "message": message, "code": code }])),
        ("ApiError", "retryAfter", json!(RETRY_AFTER.as_secs())),
        ("ValidationIssue", "path", json!("email")),
        ("ValidationIssue", "message", json!(message)),
        ("ValidationIssue", "code", json!(code)),
    ];
    for (schema, field, example) in examples {
        set(document, &format!("/components/schemas/{schema}/properties/{field}"), "example", example);
    }
    set(document, "/components/schemas/ErrorCode", "example", json!("invalid_request"));
}

/// An example's short summary, and its error response.
type ErrorExample = (&'static str, ErrorResponse);

fn send_magic_link_errors() -> Vec<ErrorExample> {
    let invalid_email = MagicLinkRequest::parse(br#"{"email":"hello@"}"#).map(|body| body.issues).unwrap_or_default();
    vec![
        ("The body is not JSON", send_magic_link::request::not_json()),
        ("A field is wrong", ErrorResponse::with_issues(ErrorCode::InvalidRequest, invalid_email)),
        ("The callback origin is missing", source::origin_required().into()),
        ("The origin is not allowed", source::origin_not_allowed("callback_origin").into()),
        (
            "The destination could lead out of the portal",
            ErrorResponse::with_issues(ErrorCode::CallbackNextUnsafe, vec![UnsafeCallbackNext::EmptySegment.issue()]),
        ),
        ("Wrong method", ErrorResponse::method_not_allowed(paths::SEND_MAGIC_LINK_METHODS)),
        ("The body is too large", json_body::payload_too_large(paths::SEND_MAGIC_LINK_PATH)),
        ("Wrong Content-Type", json_body::unsupported_media_type()),
        ("Too many requests from this network", middleware::ip_rate_limited(RETRY_AFTER.into())),
        ("Too many requests for this address", send_magic_link::handler::recipient_rate_limited(RETRY_AFTER.into())),
        ("Internal error", ErrorResponse::internal()),
        ("Temporarily unavailable", ErrorResponse::unavailable()),
    ]
}

fn webhook_errors() -> Vec<ErrorExample> {
    vec![
        ("The body is not JSON", webhook::request::not_json()),
        ("Not signed with the domain's key", webhook::handler::invalid_signature()),
        ("Webhooks are not enabled", ErrorResponse::not_found()),
        ("Wrong method", ErrorResponse::method_not_allowed(paths::WEBHOOK_METHODS)),
        ("The token was used for another event", webhook::handler::token_reused()),
        ("The body is too large", json_body::payload_too_large(paths::WEBHOOK_PATH)),
        ("Wrong Content-Type", json_body::unsupported_media_type()),
        ("Internal error", ErrorResponse::internal()),
        ("Temporarily unavailable", ErrorResponse::unavailable()),
    ]
}

/// Adds an example to the 200 response. Adds each of `errors` to the response with the error's status, under the
/// error's code.
fn add_response_examples(document: &mut Value, operation: &str, errors: Vec<ErrorExample>) {
    set(document, &response_content(operation, 200), "example", json!({ "ok": true }));
    let mut by_status: Map<String, Value> = Map::new();
    for (summary, response) in errors {
        let (status, code) = (response.code.status().as_u16(), response.code.name());
        let examples = by_status.entry(status.to_string()).or_insert_with(|| json!({}));
        examples[code] = json!({ "summary": summary, "value": response.into_body().to_json() });
    }
    for (status, examples) in by_status {
        set(document, &response_content(operation, &status), "examples", examples);
    }
}

fn response_content(operation: &str, status: impl std::fmt::Display) -> String {
    format!("{operation}/responses/{status}/content/application~1json")
}

/// The body that Mailgun posts when a mail has been delivered, without the fields that the api ignores.
fn webhook_example() -> Value {
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
