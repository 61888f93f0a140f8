//! How the endpoints' responses appear in the OpenAPI document: one entry per status, with its schema and headers.
//!
//! Each endpoint lists its own responses in its `responses` module.

use std::marker::PhantomData;

use poem_openapi::{
    ApiResponse,
    registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry},
    types::Type,
};

use super::{
    error::{ApiError, ErrorResponse},
    json_body::CONTENT_TYPE,
    response_headers::{DocumentedHeader, REQUEST_ID},
};

/// Status, description, and headers other than `X-Request-Id`.
pub(crate) type DocumentedResponse = (u16, &'static str, &'static [DocumentedHeader]);

/// The error responses of one endpoint, as the document lists them. The body is always the error object.
pub(crate) trait DocumentedErrors {
    const RESPONSES: &[DocumentedResponse];
}

/// An error from an endpoint. `Errors` lists the endpoint's error responses for the document.
#[derive(Debug)]
pub(crate) struct EndpointError<Errors>(ErrorResponse, PhantomData<Errors>);

impl<Errors> From<ErrorResponse> for EndpointError<Errors> {
    fn from(response: ErrorResponse) -> Self {
        Self(response, PhantomData)
    }
}

impl<Errors> From<EndpointError<Errors>> for poem::Error {
    fn from(EndpointError(response, _): EndpointError<Errors>) -> Self {
        response.into()
    }
}

impl<Errors: DocumentedErrors> ApiResponse for EndpointError<Errors> {
    fn meta() -> MetaResponses {
        let meta = |(status, description, headers): &DocumentedResponse| {
            response(*status, description, ApiError::schema_ref(), headers)
        };
        MetaResponses { responses: Errors::RESPONSES.iter().map(meta).collect() }
    }

    fn register(registry: &mut Registry) {
        ApiError::register(registry);
    }
}

/// One response for the document. `headers` does not include `X-Request-Id`, which every response has.
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
