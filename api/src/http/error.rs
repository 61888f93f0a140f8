//! The one shape of every answer that is not a success, whatever layer gives it.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    error::{MethodNotAllowedError, NotFoundError},
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{Enum, Object, types::ToJSON as _};

use super::{paths, retry_after::RetryAfter};

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
    /// The status that goes with the code.
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

    /// As it stands in the answer, the log and the metrics.
    pub(crate) fn name(self) -> String {
        self.to_json().as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
    }
}

/// One thing that is wrong with the request.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub(crate) struct ValidationIssue {
    /// The field, or the header, that the issue is about; empty for the body as a whole.
    pub(crate) path: String,
    /// What the field must be, for people.
    pub(crate) message: String,
}

impl ValidationIssue {
    /// An issue of one field.
    pub(crate) fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

/// The error object: the body of every answer that is not a success.
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
    /// Structured validation issues, all that were found.
    #[oai(skip_serializing_if_is_none)]
    issues: Option<Vec<ValidationIssue>>,
    /// Seconds until the rate limit resets (429 responses).
    #[oai(skip_serializing_if_is_none)]
    retry_after: Option<RetryAfter>,
}

/// A refusal on its way out: what [`ApiError`] says, and the headers that go with it.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) code: ErrorCode,
    message: Cow<'static, str>,
    issues: Vec<ValidationIssue>,
    retry_after: Option<RetryAfter>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ErrorResponse {
    /// A refusal with a message for people.
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), issues: vec![], retry_after: None, headers: vec![] }
    }

    /// A refusal for all that is wrong with the fields. There is at least one issue.
    pub(crate) fn invalid(code: ErrorCode, issues: Vec<ValidationIssue>) -> Self {
        let message = match issues.as_slice() {
            [only] => only.message.clone(),
            _ => "Several fields of the request are not valid.".to_owned(),
        };
        Self { issues, ..Self::new(code, message) }
    }

    /// A refusal by a rate limit.
    pub(crate) fn limited(code: ErrorCode, message: &'static str, wait: RetryAfter) -> Self {
        Self { retry_after: Some(wait), ..Self::new(code, message) }.with(header::RETRY_AFTER, wait.header())
    }

    /// 503: nothing was accepted, try again.
    pub(crate) fn unavailable() -> Self {
        // Shorter than a person's patience, longer than a failover's first moments.
        Self::unavailable_for(Duration::from_secs(5))
    }

    /// 503, with a time after which it may be otherwise.
    pub(crate) fn unavailable_for(wait: Duration) -> Self {
        Self::new(ErrorCode::Unavailable, "The service cannot take requests at the moment. Try again shortly.")
            .with(header::RETRY_AFTER, RetryAfter::from(wait).header())
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is nothing at this address.")
    }

    /// 405, with the methods that are taken.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        Self::new(ErrorCode::MethodNotAllowed, "This address does not take this method.")
            .with(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// 500: the reason is in the log, under the request's id, and nowhere else.
    pub(crate) fn internal() -> Self {
        Self::new(ErrorCode::InternalError, "Something went wrong on our side.")
    }

    /// Adds a header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl ErrorResponse {
    /// The error object.
    pub(crate) fn into_body(self) -> ApiError {
        let mut field_errors = BTreeMap::new();
        for issue in &self.issues {
            field_errors.entry(issue.path.clone()).or_insert_with(|| issue.message.clone());
        }
        let any = !self.issues.is_empty();
        ApiError {
            error: self.message.into_owned(),
            code: Some(self.code),
            field_errors: any.then_some(field_errors),
            issues: any.then_some(self.issues),
            retry_after: self.retry_after,
        }
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(mut self) -> Response {
        let headers = std::mem::take(&mut self.headers);
        let code = self.code;
        let mut response = json(code.status(), &self.into_body().to_json().unwrap_or_default());
        response.headers_mut().extend(headers);
        // For the access line and the metrics.
        response.set_data(code);
        response
    }
}

impl From<ErrorResponse> for poem::Error {
    fn from(refusal: ErrorResponse) -> Self {
        let code = refusal.code;
        let mut error = Self::from_response(refusal.into_response());
        // The error's own extensions take the place of the response's.
        error.set_data(code);
        error
    }
}

/// A JSON answer. poem's own would add a charset that `application/json` does not have (RFC 8259 §11).
pub(crate) fn json(status: StatusCode, body: &serde_json::Value) -> Response {
    Response::builder().status(status).content_type("application/json").body(body.to_string())
}

/// Turns every error of the layers within into the error object.
pub(crate) async fn wrap<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let at_endpoint = request.uri().path() == paths::PATH;
    let at_webhook = request.uri().path() == paths::WEBHOOK_PATH;
    match next.call(request).await {
        Ok(answer) => Ok(answer.into_response()),
        Err(error) if error.is_from_response() => Ok(error.into_response()),
        Err(error) => Ok(refusal_for(&error, at_endpoint, at_webhook).into_response()),
    }
}

/// What poem's own errors mean to the caller.
fn refusal_for(error: &poem::Error, at_endpoint: bool, at_webhook: bool) -> ErrorResponse {
    if error.is::<NotFoundError>() {
        return ErrorResponse::not_found();
    }
    if error.is::<MethodNotAllowedError>() {
        let allowed = match (at_endpoint, at_webhook) {
            (true, _) => paths::METHODS,
            (_, true) => paths::WEBHOOK_METHODS,
            _ => "GET, HEAD",
        };
        return ErrorResponse::method_not_allowed(allowed);
    }
    tracing::error!(status = error.status().as_u16(), %error, "a request failed in an unforeseen way");
    ErrorResponse::internal()
}
