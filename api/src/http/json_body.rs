//! A body that is to be JSON: of the right kind, and all there.

use hyper::body::Bytes;
use poem::{
    Request,
    http::{HeaderValue, header},
};

use super::{
    body::{self, ReceivedBody},
    error::{ErrorCode, ErrorResponse},
};

pub(crate) const CONTENT_TYPE: &str = "application/json";

/// The body's bytes.
///
/// # Errors
/// 415, 413, or 400 where it did not arrive in time.
pub(crate) fn bytes(request: &Request) -> Result<Bytes, ErrorResponse> {
    let kind = request.content_type().and_then(|kind| kind.split(';').next()).unwrap_or_default();
    if !kind.trim().eq_ignore_ascii_case(CONTENT_TYPE) {
        return Err(unsupported());
    }
    match request.data::<ReceivedBody>() {
        Some(ReceivedBody::Whole(bytes)) => Ok(bytes.clone()),
        Some(ReceivedBody::TooLarge) => Err(too_large(request.uri().path())),
        Some(ReceivedBody::Late) | None => {
            Err(ErrorResponse::new(ErrorCode::InvalidRequest, "The body did not arrive in full within 10 seconds.")
                .with(header::CONNECTION, HeaderValue::from_static("close")))
        }
    }
}

/// 415.
pub(crate) fn unsupported() -> ErrorResponse {
    let message = "Send the body as JSON, with the header Content-Type: application/json.";
    ErrorResponse::new(ErrorCode::UnsupportedMediaType, message)
}

/// 413, at this path.
pub(crate) fn too_large(path: &str) -> ErrorResponse {
    let most = body::max_bytes(path) / 1024;
    ErrorResponse::new(ErrorCode::PayloadTooLarge, format!("The body is larger than {most} KiB."))
}
