//! CORS: pages from any origin may call the stand-in. Without a gateway, the real server allows only certain request
//! headers, and `apikey` is not among them (internal/api/api.go, cors.New). The hosted product's gateway allows every
//! header (observed; the gateway's `cors` plugin does this).

use poem::{
    Endpoint, Request, Response,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
};

const KNOWN_HEADERS: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "x-client-ip",
    "x-client-info",
    "x-jwt-aud",
    "x-use-cookie",
    "x-supabase-api-version",
];
const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Answers preflights, and lets pages from any origin read the other responses. Responses from faults also have
/// the CORS headers, as they would behind a real gateway.
pub(super) async fn allow_pages<E>(has_gateway: bool, routes: &E, request: Request) -> poem::Result<Response>
where
    E: Endpoint<Output = Response>,
{
    if request.header(header::ORIGIN).is_none() {
        return routes.call(request).await;
    }
    if request.method() == Method::OPTIONS
        && let Some(method) = request.header(header::ACCESS_CONTROL_REQUEST_METHOD)
    {
        return Ok(preflight(has_gateway, method, request.headers()));
    }
    let mut response = routes.call(request).await?;
    let headers = response.headers_mut();
    allow_origin(headers);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("X-Total-Count, Link, X-Supabase-Api-Version"),
    );
    Ok(response)
}

/// The response to a refused preflight has no CORS header, so the browser does not send the request.
fn preflight(has_gateway: bool, method: &str, asked: &HeaderMap) -> Response {
    let mut response = Response::builder()
        .status(StatusCode::NO_CONTENT)
        .header(header::VARY, "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
        .finish();
    let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
    let is_known = |name: &str| KNOWN_HEADERS.iter().any(|known| known.eq_ignore_ascii_case(name.trim()));
    let names = wanted.and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
    let allowed = has_gateway || names.split(',').filter(|name| !name.trim().is_empty()).all(is_known);
    if allowed && METHODS.iter().any(|known| known.as_str() == method) {
        let headers = response.headers_mut();
        allow_origin(headers);
        if let Ok(method) = method.parse() {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
        }
        if let Some(wanted) = wanted {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
    }
    response
}

fn allow_origin(headers: &mut HeaderMap) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
}
