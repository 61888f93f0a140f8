//! The OpenAPI document, from the code, and the page that shows it.
//!
//! What poem-openapi cannot say (examples of fields and of answers, headers in their usual spelling) is added to
//! its JSON in one place, so that the served document, the page and `magic-link-api openapi` are the same.

use poem_openapi::{OpenApiService, types::ToJSON as _};
use serde_json::{Map, Value, json};

use crate::{
    callback_origin,
    envelope::{ErrorCode, Refusal, ValidationIssue},
    send_magic_link::Api,
    webhook::Webhooks,
};

const GUIDE: &str = include_str!("guide.md");
const OPERATION: &str = "/paths/~1auth~1send-magic-link/post";
const WEBHOOK: &str = "/paths/~1webhooks~1mailgun/post";

/// The service that poem routes to, and that the document is made from.
pub(crate) fn service() -> OpenApiService<(Api, Webhooks), ()> {
    OpenApiService::new((Api, Webhooks), "Magic links", env!("CARGO_PKG_VERSION")).description(GUIDE).server("/api")
}

/// The document as JSON text, with a line break at its end.
///
/// # Panics
/// Never: what poem-openapi writes is JSON.
#[must_use]
pub fn json() -> String {
    let mut document: Value = serde_json::from_str(&service().spec()).expect("poem-openapi writes JSON");
    add_field_examples(&mut document);
    add_answer_examples(&mut document);
    add_header_parameter(&mut document);
    format!("{document:#}\n")
}

/// The page: poem-openapi's Swagger UI, which carries its own script and style, with our document in it.
pub(crate) fn page() -> String {
    let service = service();
    // `</` could end the script that the document stands in; in JSON `<\/` is the same.
    let document = json().replace("</", "<\\/");
    let html = service.swagger_ui_html().replace(&service.spec(), &document);
    format!("<!doctype html>{}", html.replace("<title>Swagger UI</title>", "<title>Magic links</title>"))
}

/// An example of every field, by schema and name.
fn add_field_examples(document: &mut Value) {
    let examples = [
        ("MagicLinkRequest", "email", json!("hello@example.com")),
        ("MagicLinkRequest", "callback_origin", json!("https://example.com")),
        ("MagicLinkRequest", "callback_next", json!("example")),
        ("MagicLinkAccepted", "ok", json!(true)),
        ("EventTaken", "ok", json!(true)),
        ("ApiError", "error", json!("Enter an email address.")),
        ("ApiError", "fieldErrors", json!({ "email": "Enter an email address." })),
        ("ApiError", "issues", json!([{ "path": "email", "message": "Enter an email address." }])),
        ("ApiError", "retryAfter", json!(30)),
        ("ValidationIssue", "path", json!("email")),
        ("ValidationIssue", "message", json!("Enter an email address.")),
    ];
    for (schema, field, example) in examples {
        set(document, &format!("/components/schemas/{schema}/properties/{field}"), "example", example);
    }
    set(document, "/components/schemas/ErrorCode", "example", json!("invalid_request"));
    let request = json!({
        "email": "hello@example.com", "callback_origin": "https://example.com", "callback_next": "example",
    });
    set(document, &format!("{OPERATION}/requestBody/content/application~1json"), "example", request);
}

/// An example of every code, beside the status that it comes with.
fn add_answer_examples(document: &mut Value) {
    let issue =
        |path: &str, message: &str| vec![ValidationIssue { path: path.to_owned(), message: message.to_owned() }];
    let wait = std::time::Duration::from_secs(30).into();
    let refusals = [
        Refusal::new(ErrorCode::InvalidJson, "The body is not valid JSON, or names a field more than once."),
        Refusal::invalid(ErrorCode::InvalidRequest, issue("email", "Enter one email address, like name@example.com.")),
        Refusal::invalid(ErrorCode::CallbackOriginRequired, issue("callback_origin", "Name the portal's origin.")),
        Refusal::invalid(
            ErrorCode::CallbackOriginNotAllowed,
            issue("callback_origin", "This origin is not one of the portal's allowed callback origins."),
        ),
        Refusal::invalid(
            ErrorCode::CallbackNextUnsafe,
            issue("callback_next", "callback_next must be a path inside the portal."),
        ),
        Refusal::new(ErrorCode::MethodNotAllowed, "This address does not take this method."),
        Refusal::new(ErrorCode::PayloadTooLarge, "The body is larger than 16 KiB."),
        Refusal::new(ErrorCode::UnsupportedMediaType, "Send the body as JSON."),
        Refusal::limited(ErrorCode::IpRateLimited, "Too many requests from your network.", wait),
        Refusal::limited(ErrorCode::RecipientRateLimited, "Too many links were asked for this address.", wait),
        Refusal::internal(),
        Refusal::unavailable(),
    ];
    add_examples(document, OPERATION, refusals.into());
    let refusals = [
        Refusal::new(ErrorCode::InvalidJson, "The body is not valid JSON, or names a field twice."),
        Refusal::new(ErrorCode::InvalidSignature, "The signature is not by the key of MAILGUN_WEBHOOK_SIGNING_KEY."),
        Refusal::new(ErrorCode::NotFound, "There is nothing at this address."),
        Refusal::new(ErrorCode::EventRefused, "The token came with another event before."),
        Refusal::new(ErrorCode::PayloadTooLarge, "The body is larger than 256 KiB."),
        Refusal::new(ErrorCode::UnsupportedMediaType, "Send the body as JSON."),
        Refusal::internal(),
        Refusal::unavailable(),
    ];
    add_examples(document, WEBHOOK, refusals.into());
}

fn add_examples(document: &mut Value, operation: &str, refusals: Vec<Refusal>) {
    set(document, &answer(operation, 200), "example", json!({ "ok": true }));
    let mut by_status: Map<String, Value> = Map::new();
    for refusal in refusals {
        let (status, name) = (refusal.code.status().as_u16(), refusal.code.name());
        let examples = by_status.entry(status.to_string()).or_insert_with(|| json!({}));
        examples[name] = json!({ "value": refusal.into_body().to_json() });
    }
    for (status, examples) in by_status {
        set(document, &answer(operation, &status), "examples", examples);
    }
}

fn answer(operation: &str, status: impl std::fmt::Display) -> String {
    format!("{operation}/responses/{status}/content/application~1json")
}

/// The header that may name the callback origin. The handler reads it itself, since it must see every line of it.
fn add_header_parameter(document: &mut Value) {
    let parameter = json!({
        "name": callback_origin::HEADER,
        "in": "header",
        "required": false,
        "description": "Origin of the portal that the link leads back to, where the body has no `callback_origin`. \
                        It must be one that the operator allows.",
        "schema": { "type": "string", "format": "uri" },
        "example": "https://example.com",
    });
    set(document, OPERATION, "parameters", json!([parameter]));
}

/// Sets a key of the object at `place` (RFC 6901). A place that is not there stays as it is, and a test says so.
fn set(document: &mut Value, place: &str, key: &str, value: Value) {
    if let Some(Value::Object(object)) = document.pointer_mut(place) {
        object.insert(key.to_owned(), value);
    }
}
