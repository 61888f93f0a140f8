//! The extractor for all JSON request bodies. It checks the headers that describe the body, takes the bytes that `body`
//! has read, and lets the endpoint's request type parse them.
//!
//! poem-openapi's own `Json` stops at the first problem, does not report which field is wrong, and accepts numbers in
//! place of strings.

use hyper::body::Bytes;
use poem::{
    Request, RequestBody,
    http::{HeaderMap, HeaderValue, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry},
};

use super::{
    body::{self, ReceivedBody},
    error::{ErrorCode, ErrorResponse},
};

pub(crate) const CONTENT_TYPE: &str = "application/json";

/// A JSON body that an endpoint accepts.
pub(crate) trait JsonRequest: Sized {
    /// Name of the schema in the OpenAPI document.
    const SCHEMA: &'static str;
    /// Description of the request body in the OpenAPI document.
    const DESCRIPTION: &'static str;

    /// The schema in the OpenAPI document.
    fn schema() -> MetaSchema;

    /// Parses the body, which may contain any bytes.
    ///
    /// # Errors
    /// 400 if the body is not JSON, or is JSON that the endpoint cannot interpret.
    fn parse(body: &[u8]) -> Result<Self, ErrorResponse>;
}

/// Extracts a [`JsonRequest`] from the request's body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<'a, T: JsonRequest> ApiExtractor<'a> for JsonBody<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        registry.create_schema::<T, _>(T::SCHEMA.to_owned(), |_| T::schema());
    }

    fn request_meta() -> Option<MetaRequest> {
        let schema = MetaSchemaRef::Reference(T::SCHEMA.to_owned());
        let content = vec![MetaMediaType { content_type: CONTENT_TYPE, schema }];
        Some(MetaRequest { description: Some(T::DESCRIPTION), content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(T::parse(&read_bytes(request)?)?))
    }
}

/// Returns the body's bytes.
///
/// # Errors
/// 415 for a compressed body or a content type other than JSON, 413 for a body that is too large, and 400 if the body
/// did not arrive in full.
fn read_bytes(request: &Request) -> Result<Bytes, ErrorResponse> {
    let media_type = request.content_type().and_then(|text| text.split(';').next()).unwrap_or_default();
    if !media_type.trim().eq_ignore_ascii_case(CONTENT_TYPE) {
        return Err(unsupported_media_type());
    }
    if is_compressed(request.headers()) {
        return Err(compressed_body());
    }
    match request.data::<ReceivedBody>() {
        Some(ReceivedBody::Complete(bytes)) => Ok(bytes.clone()),
        Some(ReceivedBody::TooLarge) => Err(payload_too_large(request.uri().path())),
        Some(ReceivedBody::Incomplete) | None => {
            Err(ErrorResponse::new(ErrorCode::InvalidRequest, "The body did not arrive in full within 10 seconds.")
                .with_header(header::CONNECTION, HeaderValue::from_static("close")))
        }
    }
}

/// Whether `Content-Encoding` contains a coding other than `identity`, which means no encoding (RFC 9110 §8.4.1).
fn is_compressed(headers: &HeaderMap) -> bool {
    let codings =
        headers.get_all(header::CONTENT_ENCODING).iter().flat_map(|line| line.as_bytes().split(|&b| b == b','));
    codings.map(<[u8]>::trim_ascii).any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// 415 with a header that lists the accepted codings (RFC 9110 §12.5.3).
fn compressed_body() -> ErrorResponse {
    let message = "Send the body uncompressed, without a Content-Encoding header.";
    ErrorResponse::new(ErrorCode::UnsupportedMediaType, message)
        .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

/// 415 for a content type other than JSON.
pub(crate) fn unsupported_media_type() -> ErrorResponse {
    let message = "Send the body as JSON, with Content-Type: application/json.";
    ErrorResponse::new(ErrorCode::UnsupportedMediaType, message)
}

/// 413. The message contains the limit for `path`.
pub(crate) fn payload_too_large(path: &str) -> ErrorResponse {
    let max_kib = body::max_bytes(path) / 1024;
    ErrorResponse::new(ErrorCode::PayloadTooLarge, format!("The body is larger than {max_kib} KiB."))
}
