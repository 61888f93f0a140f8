//! The error object: the JSON body of error responses, regardless of which layer sends them.
//!
//! Layers and handlers build an [`ErrorResponse`]; [`ApiError`] is what the caller sees and the OpenAPI document
//! describes.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use poem::{
    IntoResponse, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{Enum, Object, types::ToJSON as _};

use super::{issue_code::IssueCode, retry_after::RetryAfter};

/// Stable machine-readable error code for client branching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[oai(rename_all = "snake_case")]
pub(crate) enum ErrorCode {
    InvalidJson,
    InvalidRequest,
    CallbackOriginRequired,
    CallbackOriginNotAllowed,
    CallbackNextUnsafe,
    IpRateLimited,
    RecipientRateLimited,
    UnsupportedMediaType,
    PayloadTooLarge,
    MethodNotAllowed,
    NotFound,
    InvalidSignature,
    EventRefused,
    Unavailable,
    InternalError,
}

impl ErrorCode {
    /// The HTTP status of responses with this code.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson
            | Self::InvalidRequest
            | Self::CallbackOriginRequired
            | Self::CallbackOriginNotAllowed
            | Self::CallbackNextUnsafe => StatusCode::BAD_REQUEST,
            Self::IpRateLimited | Self::RecipientRateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::InvalidSignature => StatusCode::UNAUTHORIZED,
            Self::EventRefused => StatusCode::NOT_ACCEPTABLE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code in `snake_case`, as it appears in responses, log lines and metrics.
    pub(crate) fn name(self) -> String {
        self.to_json().as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    }
}

/// One problem with the request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct ValidationIssue {
    /// The field or header that has the problem; empty for the body as a whole.
    pub(crate) path: String,
    /// Human-readable description of the problem, in English.
    pub(crate) message: String,
    /// Stable machine-readable code of the problem, for messages in the person's language. The guide lists the codes.
    /// New codes may be added.
    #[oai(skip_serializing_if_is_none)]
    pub(crate) code: Option<String>,
}

impl ValidationIssue {
    /// Creates an issue for one field or header.
    pub(crate) fn new(path: &str, code: IssueCode, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into(), code: Some(code.as_str().to_owned()) }
    }
}

/// The error object: the body of every unsuccessful response.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase")]
pub(crate) struct ApiError {
    /// Human-readable error message.
    error: String,
    /// Stable machine-readable error code for client branching.
    #[oai(skip_serializing_if_is_none)]
    code: Option<ErrorCode>,
    /// First validation message per field path.
    #[oai(skip_serializing_if_is_none)]
    field_errors: Option<BTreeMap<String, String>>,
    /// Structured validation issues: every problem that was found.
    #[oai(skip_serializing_if_is_none)]
    issues: Option<Vec<ValidationIssue>>,
    /// Seconds until the rate limit resets (429 responses), or to wait before the next try (503 responses).
    #[oai(skip_serializing_if_is_none)]
    retry_after: Option<RetryAfter>,
}

/// An error response before it is rendered: the content of [`ApiError`], and the headers to send with it.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) code: ErrorCode,
    message: Cow<'static, str>,
    issues: Vec<ValidationIssue>,
    retry_after: Option<RetryAfter>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ErrorResponse {
    /// Creates an error without issues. `message` is for people.
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), issues: vec![], retry_after: None, headers: vec![] }
    }

    /// Creates an error that lists `issues`, which must not be empty. A single issue also provides the message.
    pub(crate) fn with_issues(code: ErrorCode, issues: Vec<ValidationIssue>) -> Self {
        let message = match issues.as_slice() {
            [only] => only.message.clone(),
            _ => "Several fields of the request are not valid.".to_owned(),
        };
        Self { issues, ..Self::new(code, message) }
    }

    /// 429 with a `Retry-After` header and a `retryAfter` field.
    pub(crate) fn rate_limited(code: ErrorCode, message: &'static str, retry_after: RetryAfter) -> Self {
        Self::new(code, message).with_retry_after(retry_after)
    }

    fn with_retry_after(self, retry_after: RetryAfter) -> Self {
        Self { retry_after: Some(retry_after), ..self }.with_header(header::RETRY_AFTER, retry_after.header_value())
    }

    /// 503 with a `Retry-After` of five seconds, for a request that was not accepted.
    pub(crate) fn unavailable() -> Self {
        // This is short enough for people to wait, and long enough to get past the first seconds of a failover.
        Self::unavailable_for(Duration::from_secs(5))
    }

    /// 503 with a `Retry-After` header and a `retryAfter` field. The wait is rounded up to whole seconds.
    pub(crate) fn unavailable_for(retry_after: Duration) -> Self {
        Self::new(ErrorCode::Unavailable, "The service cannot accept requests at the moment. Try again shortly.")
            .with_retry_after(retry_after.into())
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is nothing at this path.")
    }

    /// 405 with an `Allow` header.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(ErrorCode::MethodNotAllowed, "This path does not allow this method.")
            .with_header(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// 500. The reason appears only in the log, in a line with the request id.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::InternalError, "Something went wrong on our side.")
    }

    /// Adds a header.
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Converts the response to the error object that is sent.
    pub(crate) fn into_body(self) -> ApiError {
        let mut field_errors = BTreeMap::new();
        for issue in &self.issues {
            field_errors.entry(issue.path.clone()).or_insert_with(|| issue.message.clone());
        }
        let has_issues = !self.issues.is_empty();
        ApiError {
            error: self.message.into_owned(),
            code: Some(self.code),
            field_errors: has_issues.then_some(field_errors),
            issues: has_issues.then_some(self.issues),
            retry_after: self.retry_after,
        }
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let code = self.code;
        let mut response = json_response(code.status(), &self.into_body().to_json().unwrap_or_default());
        response.headers_mut().extend(headers);
        // `request_context` logs and counts responses by their code.
        response.set_data(code);
        response
    }
}

impl From<ErrorResponse> for poem::Error {
    fn from(response: ErrorResponse) -> Self {
        let code = response.code;
        let mut error = Self::from_response(response.into_response());
        // poem replaces the response's extensions with the error's extensions, so the error needs the code, too.
        error.set_data(code);
        error
    }
}

/// A JSON response. poem's own JSON responses add a `charset` parameter, which `application/json` does not define (RFC
/// 8259 §11).
pub(crate) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}
