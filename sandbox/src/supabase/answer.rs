//! Supabase Auth's responses: JSON as Go encodes it, and errors in two formats (internal/api/errors.go,
//! apiversions.go).

use poem::{Request, Response, http::StatusCode};
use serde_json::{Value, json};

/// An error, independent of the format in which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuthError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Whether a hook caused the error. Such an error has no `x-sb-error-code` header.
    pub(super) from_hook: bool,
}

impl AuthError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: &str) -> AuthError {
        AuthError { status, code, message: message.to_owned(), from_hook: false }
    }

    pub(super) fn validation(message: &str) -> AuthError {
        AuthError::new(StatusCode::BAD_REQUEST, "validation_failed", message)
    }
}

/// The error format that the client requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ApiVersion {
    Initial,
    V20240101,
}

const VERSION_HEADER: &str = "x-supabase-api-version";
const V20240101: &str = "2024-01-01";

impl ApiVersion {
    pub(super) fn of(request: &Request) -> ApiVersion {
        match request.header(VERSION_HEADER) {
            // Dates in this form can be compared as text.
            Some(asked) if asked.len() == V20240101.len() && asked >= V20240101 => ApiVersion::V20240101,
            _ => ApiVersion::Initial,
        }
    }
}

pub(super) fn error(error: &AuthError, version: ApiVersion) -> Response {
    let (code, message, status) = (error.code, &error.message, error.status);
    let body = match version {
        ApiVersion::Initial => json!({"code": status.as_u16(), "error_code": code, "msg": message}),
        ApiVersion::V20240101 => json!({"code": code, "message": message}),
    };
    let mut response = json_answer(status, &body);
    let headers = response.headers_mut();
    if !error.from_hook
        && let Ok(code) = code.parse()
    {
        headers.insert("x-sb-error-code", code);
    }
    if version == ApiVersion::V20240101
        && let Ok(version) = V20240101.parse()
    {
        headers.insert(VERSION_HEADER, version);
    }
    response
}

/// A JSON response. HTML characters are escaped as Go's encoder escapes them, so that a client fails if it searches the
/// body instead of parsing it.
pub(super) fn json_answer(status: StatusCode, body: &Value) -> Response {
    let body = body.to_string().replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    Response::builder().status(status).content_type("application/json").header("vary", "Origin").body(body)
}

/// The body that Supabase usually sends with this status. Used for faults without a body.
pub(super) fn usual_body(status: u16) -> String {
    let (code, message) = match status {
        401 => ("no_authorization", "This endpoint requires a valid Bearer token"),
        403 => ("bad_jwt", "invalid JWT: unable to parse or verify signature"),
        429 => ("over_request_rate_limit", "Request rate limit reached"),
        504 => ("request_timeout", "Processing this request timed out, please retry after a moment."),
        _ => ("unexpected_failure", "Database error finding user"),
    };
    json!({"code": code, "message": message}).to_string()
}
