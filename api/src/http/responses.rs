//! Answers as the document lists them: a status each, with its schema and headers.

use std::marker::PhantomData;

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ToJSON as _, Type},
};

use super::{
    error::{ApiError, ErrorResponse, json},
    headers::{ALLOW, DocumentedHeader, RATE_LIMIT, RATE_LIMIT_POLICY, REQUEST_ID, RETRY_AFTER},
    json_body::CONTENT_TYPE,
};

/// The request was accepted: its link is about to be mailed.
#[derive(Debug, Object)]
struct MagicLinkAccepted {
    /// Always true: the job that mails the link is stored.
    ok: bool,
}

/// 200.
#[derive(Debug)]
pub(crate) struct AcceptedResponse;

impl IntoResponse for AcceptedResponse {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &MagicLinkAccepted { ok: true }.to_json().unwrap_or_default())
    }
}

impl ApiResponse for AcceptedResponse {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![response(200, "Magic link sent", MagicLinkAccepted::schema_ref(), &[])] }
    }

    fn register(registry: &mut Registry) {
        MagicLinkAccepted::register(registry);
    }
}

/// Everything else, of an endpoint whose refusals the document lists like this.
#[derive(Debug)]
pub(crate) struct EndpointError<Listed>(ErrorResponse, PhantomData<Listed>);

/// The refusals of one endpoint.
pub(crate) trait DocumentedErrors {
    /// As the document lists them: each the error object.
    const ROWS: &[DocumentedResponse];
}

impl<Listed> From<ErrorResponse> for EndpointError<Listed> {
    fn from(refusal: ErrorResponse) -> Self {
        Self(refusal, PhantomData)
    }
}

impl<Listed> From<EndpointError<Listed>> for poem::Error {
    fn from(EndpointError(refusal, _): EndpointError<Listed>) -> Self {
        refusal.into()
    }
}

/// Status, description, headers besides `X-Request-Id`.
pub(crate) type DocumentedResponse = (u16, &'static str, &'static [DocumentedHeader]);

/// Those of the request for a link.
#[derive(Debug)]
pub(crate) struct SendMagicLinkErrors;

impl DocumentedErrors for SendMagicLinkErrors {
    const ROWS: &[DocumentedResponse] = &[
        (400, "Invalid request", &[]),
        (405, "The method is not POST", &[ALLOW]),
        (413, "The body is larger than 16 KiB", &[]),
        (415, "The body is not sent as application/json", &[]),
        (429, "Rate limited", &[RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY]),
        (500, "Something went wrong on our side", &[]),
        (503, "The service cannot take requests at the moment: send it again later", &[RETRY_AFTER]),
    ];
}

impl<Listed: DocumentedErrors> ApiResponse for EndpointError<Listed> {
    fn meta() -> MetaResponses {
        let row = |(status, description, headers): &DocumentedResponse| {
            response(*status, description, ApiError::schema_ref(), headers)
        };
        MetaResponses { responses: Listed::ROWS.iter().map(row).collect() }
    }

    fn register(registry: &mut Registry) {
        ApiError::register(registry);
    }
}

/// An answer as the document lists it.
pub(crate) fn response(
    status: u16,
    description: &'static str,
    schema: MetaSchemaRef,
    headers: &[DocumentedHeader],
) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema }],
        headers: std::iter::once(&REQUEST_ID).chain(headers).map(DocumentedHeader::meta).collect(),
    }
}
