//! CORS: allows pages of the portals to read every response, including errors. This layer never rejects a request; the
//! handler checks the origin.
//!
//! poem's own middleware is not used, because it rejects an `Origin` that is not allowed before the handler can try
//! `Referer`.

use std::sync::Arc;

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

use crate::{
    http::{paths, single_header::single_header},
    state::AppState,
};

/// Response headers that a page's script may read.
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Retry-After, RateLimit, RateLimit-Policy, X-Request-Id");
/// Request headers that a page's script may send: headers that the api reads, headers that tracing libraries (W3C Trace
/// Context, W3C Baggage, Sentry) add to every request, and headers that Supabase's client adds. The api would work
/// without the last two groups, but a browser would drop a request that contains a header that is not allowed.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, X-AppHandoff-Callback-Origin, X-Request-Id, traceparent, tracestate, baggage, sentry-trace, apikey, \
     authorization, x-client-info",
);
/// How long a browser may cache the response to a preflight, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// Layer that adds the CORS headers for an allowed origin to every response. Credentials are never allowed: the api
/// uses none.
pub(crate) async fn add_headers<E: Endpoint>(
    state: Arc<AppState>,
    next: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    let origin = single_header(request.headers(), &header::ORIGIN)
        .and_then(|text| state.live.current().portals.parse_allowed(text));
    let mut response = next.call(request).await?.into_response();
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = origin.and_then(|origin| HeaderValue::from_str(origin.as_str()).ok()) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
    }
    Ok(response)
}

/// Layer that answers preflights. If the origin is allowed, [`add_headers`] adds the header that permits the request.
pub(crate) async fn answer_preflight<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    if !is_preflight(&request) {
        return Ok(next.call(request).await?.into_response());
    }
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
    let mut response = Response::builder().status(StatusCode::NO_CONTENT).finish();
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Whether this is a preflight for the send-magic-link endpoint: an OPTIONS request with the two headers that identify
/// a preflight (Fetch standard, "CORS-preflight request").
fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.uri().path() == paths::SEND_MAGIC_LINK_PATH
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}
