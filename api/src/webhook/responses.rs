//! The responses of `POST /api/webhooks/mailgun`, as the OpenAPI document lists them.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::{ToJSON as _, Type},
};

use crate::http::{
    error::json_response,
    response_headers::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER},
    responses::{DocumentedErrors, DocumentedResponse, response},
};

/// The event was recorded, or there was nothing to record.
#[derive(Debug, Object)]
struct EventTaken {
    /// Always true: do not send the event again.
    ok: bool,
}

/// A 200, after which Mailgun does not send the event again.
#[derive(Debug)]
pub(super) struct EventTakenResponse;

impl IntoResponse for EventTakenResponse {
    fn into_response(self) -> Response {
        json_response(StatusCode::OK, &EventTaken { ok: true }.to_json().unwrap_or_default())
    }
}

impl ApiResponse for EventTakenResponse {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![response(
                200,
                "The event was recorded, had been recorded before, or was ignored",
                EventTaken::schema_ref(),
                &[],
            )],
        }
    }

    fn register(registry: &mut Registry) {
        EventTaken::register(registry);
    }
}

/// The endpoint's error responses.
#[derive(Debug)]
pub(super) struct WebhookErrors;

impl DocumentedErrors for WebhookErrors {
    const RESPONSES: &[DocumentedResponse] = &[
        (400, "The body is not JSON", &[]),
        (
            401,
            "The signature is missing or wrong: send the webhook again later, in case the signing key is corrected",
            &[],
        ),
        (404, "No signing key is set", &[]),
        (
            406,
            "The event is malformed, too old, from the future or for another domain, or its token was already used for \
             another event: do not send it again",
            &[],
        ),
        (405, "The method is not POST", &[ALLOW]),
        (413, "The body is larger than 256 KiB", &[]),
        (415, "The body is not sent as application/json, or is compressed", &[ACCEPT_ENCODING]),
        (500, "Something went wrong on our side", &[]),
        (503, "The event cannot be stored at the moment: send the webhook again later", &[RETRY_AFTER]),
    ];
}
