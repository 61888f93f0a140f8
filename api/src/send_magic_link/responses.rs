//! The responses of `POST /api/auth/send-magic-link`, as the OpenAPI document lists them.

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaResponses, Registry},
    types::{ToJSON as _, Type},
};

use crate::http::{
    error::json_response,
    request_context::AcceptedPortal,
    response_headers::{
        ACCEPT_ENCODING, ALLOW, EXCEEDED_RATE_LIMIT, EXCEEDED_RATE_LIMIT_POLICY, RATE_LIMIT, RATE_LIMIT_POLICY,
        RETRY_AFTER,
    },
    responses::{DocumentedErrors, DocumentedResponse, response},
};

/// The request was accepted, and its mail is about to be sent.
#[derive(Debug, Object)]
struct MagicLinkAccepted {
    /// Always true: the job that mails the link is stored.
    ok: bool,
}

/// 200. The response is the same whether or not the address has an account.
#[derive(Debug)]
pub(super) struct AcceptedResponse {
    /// Id of the portal, for the log and the metrics. The body does not contain it.
    pub(super) portal: Option<String>,
}

impl IntoResponse for AcceptedResponse {
    fn into_response(self) -> Response {
        let mut response = json_response(StatusCode::OK, &MagicLinkAccepted { ok: true }.to_json().unwrap_or_default());
        response.set_data(AcceptedPortal(self.portal));
        response
    }
}

impl ApiResponse for AcceptedResponse {
    fn meta() -> MetaResponses {
        let headers = [RATE_LIMIT, RATE_LIMIT_POLICY];
        MetaResponses { responses: vec![response(200, "Magic link sent", MagicLinkAccepted::schema_ref(), &headers)] }
    }

    fn register(registry: &mut Registry) {
        MagicLinkAccepted::register(registry);
    }
}

/// The endpoint's error responses.
#[derive(Debug)]
pub(super) struct SendMagicLinkErrors;

impl DocumentedErrors for SendMagicLinkErrors {
    const RESPONSES: &[DocumentedResponse] = &[
        (400, "Invalid request", &[]),
        (405, "The method is not POST", &[ALLOW]),
        (413, "The body is larger than 16 KiB", &[]),
        (415, "The body is not sent as application/json, or is compressed", &[ACCEPT_ENCODING]),
        (429, "Rate limited", &[RETRY_AFTER, EXCEEDED_RATE_LIMIT, EXCEEDED_RATE_LIMIT_POLICY]),
        (500, "Something went wrong on our side", &[]),
        (503, "The service cannot accept requests at the moment: try again later", &[RETRY_AFTER]),
    ];
}
