//! Answers as the document lists them: a status each, with its schema and headers.

use std::marker::PhantomData;

use poem::{IntoResponse, Response, http::StatusCode};
use poem_openapi::{
    ApiResponse, Object,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::{ToJSON as _, Type},
};

use super::{
    error::{ApiError, Refusal, json},
    headers::{ALLOW, Header, RATE_LIMIT, RATE_LIMIT_POLICY, REQUEST_ID, RETRY_AFTER},
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
pub(crate) struct Accepted;

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &MagicLinkAccepted { ok: true }.to_json().unwrap_or_default())
    }
}

impl ApiResponse for Accepted {
    fn meta() -> MetaResponses {
        MetaResponses { responses: vec![response(200, "Magic link sent", MagicLinkAccepted::schema_ref(), &[])] }
    }

    fn register(registry: &mut Registry) {
        MagicLinkAccepted::register(registry);
    }
}

/// Everything else, of an endpoint whose refusals the document lists like this.
#[derive(Debug)]
pub(crate) struct Refused<Listed>(Refusal, PhantomData<Listed>);

/// The refusals of one endpoint.
pub(crate) trait Refusals {
    /// As the document lists them: each the error object.
    const ROWS: &[Row];
}

impl<Listed> From<Refusal> for Refused<Listed> {
    fn from(refusal: Refusal) -> Self {
        Self(refusal, PhantomData)
    }
}

impl<Listed> From<Refused<Listed>> for poem::Error {
    fn from(Refused(refusal, _): Refused<Listed>) -> Self {
        refusal.into()
    }
}

/// Status, description, headers besides `X-Request-Id`.
pub(crate) type Row = (u16, &'static str, &'static [Header]);

/// Those of the request for a link.
#[derive(Debug)]
pub(crate) struct OfLinks;

impl Refusals for OfLinks {
    const ROWS: &[Row] = &[
        (400, "Invalid request", &[]),
        (405, "The method is not POST", &[ALLOW]),
        (413, "The body is larger than 16 KiB", &[]),
        (415, "The body is not sent as application/json", &[]),
        (429, "Rate limited", &[RETRY_AFTER, RATE_LIMIT, RATE_LIMIT_POLICY]),
        (500, "Something went wrong on our side", &[]),
        (503, "The service cannot take requests at the moment: send it again later", &[RETRY_AFTER]),
    ];
}

impl<Listed: Refusals> ApiResponse for Refused<Listed> {
    fn meta() -> MetaResponses {
        let row =
            |(status, description, headers): &Row| response(*status, description, ApiError::schema_ref(), headers);
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
    headers: &[Header],
) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: CONTENT_TYPE, schema }],
        headers: std::iter::once(&REQUEST_ID).chain(headers).map(Header::meta).collect(),
    }
}
