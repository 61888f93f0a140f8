//! CORS: tells browsers that a portal's page may read the answer, refusals included. Refuses nothing itself:
//! whether an origin may be used is decided by the request's own checks.
//!
//! poem's middleware refuses an `Origin` that is not listed before the handler could fall through to `Referer`.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use crate::{http::paths, http::single_header::single, state::AppState};

/// Headers of an answer that a page's script may read.
const EXPOSED: HeaderValue = HeaderValue::from_static("Retry-After, RateLimit, RateLimit-Policy, X-Request-Id");
/// Headers that a page's script may send.
const REQUEST_HEADERS: HeaderValue =
    HeaderValue::from_static("Content-Type, X-AppHandoff-Callback-Origin, X-Request-Id, traceparent");
/// Seconds that a browser may remember the answer to a preflight.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Adds the headers for an allowed origin, to every answer. Never allows credentials: there are none.
pub(crate) async fn add_headers<E: Endpoint>(
    door: Arc<AppState>,
    next: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    let origin = single(request.headers(), &header::ORIGIN).and_then(|text| door.allowed_origins.find(text));
    let mut response = next.call(request).await?.into_response();
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin.as_str()).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    }
    Ok(response)
}

/// Answers a browser's question whether it may post here; without leave for this origin, if it is not allowed.
pub(crate) async fn answer_preflight<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    if !is_preflight(&request) {
        return Ok(next.call(request).await?.into_response());
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Fetch standard, "CORS-preflight request": OPTIONS with these two headers.
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.uri().path() == paths::PATH
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
