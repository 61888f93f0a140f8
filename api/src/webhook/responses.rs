//! The webhook's answers as the document lists them.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::{ToJSON as _, Type},
};

use crate::http::{
    error::json,
    headers::{ALLOW, RETRY_AFTER},
    responses::{DocumentedErrors, DocumentedResponse, response},
};

/// The event was taken, or needs nothing.
#[derive(Debug, Object)]
struct EventTaken {
    /// Always true: there is no reason to send it again.
    ok: bool,
}

/// 200.
#[derive(Debug)]
pub(crate) struct EventTakenResponse;

impl IntoResponse for EventTakenResponse {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &EventTaken { ok: true }.to_json().unwrap_or_default())
    }
}

impl ApiResponse for EventTakenResponse {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![response(200, "Taken, known already, or of no interest", EventTaken::schema_ref(), &[])],
        }
    }

    fn register(registry: &mut Registry) {
        EventTaken::register(registry);
    }
}

/// The webhook's refusals.
#[derive(Debug)]
pub(crate) struct WebhookErrors;

impl DocumentedErrors for WebhookErrors {
    const ROWS: &[DocumentedResponse] = &[
        (400, "The body is not JSON", &[]),
        (401, "The signature is missing or wrong: sent again, it may be right after a key is mended", &[]),
        (404, "No signing key is set", &[]),
        (406, "Never to be sent again: too old, from the future, of another domain, or its token was used before", &[]),
        (405, "The method is not POST", &[ALLOW]),
        (413, "The body is larger than 256 KiB", &[]),
        (415, "The body is not sent as application/json", &[]),
        (500, "Something went wrong on our side", &[]),
        (503, "The database is away: send it again later", &[RETRY_AFTER]),
    ];
}
