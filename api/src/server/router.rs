//! The routes of both listeners and the layers around them.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use poem::{
    Endpoint, EndpointExt as _, IntoResponse, Request, Response, Route,
    endpoint::{BoxEndpoint, make_sync},
    get,
    http::{HeaderValue, header},
    middleware::CatchPanic,
};

use super::{cors, health};
use crate::{
    document,
    http::{body, error::ErrorResponse, render_errors::render_errors, request_context},
    ip_limit::middleware,
    state::AppState,
};

/// The routes of the public listener. The last layer is the outermost: a request passes through the layers from bottom
/// to top.
pub(crate) fn public_app(state: Arc<AppState>) -> BoxEndpoint<'static, Response> {
    let (limiter, queue) = (state.ip_limiter.clone(), state.queue.clone());
    let cors_state = state.clone();
    let limits = &state.published_limits;
    let route = document::page::add_routes(Route::new());
    let route = match &state.confirm_page {
        Some(page) => page.clone().add_routes(route),
        None => route,
    };
    route
        .nest("/api", document::service(limits).around(document::page::redirect_to_page))
        .at("/api/openapi.json", get(static_document("application/json", document::json(limits))))
        .at("/api/openapi.yaml", get(static_document("application/yaml", document::yaml(limits))))
        .at("/health/live", get(health::live))
        .at("/health/ready", get(health::ready))
        .data(state)
        .around(body::read_body)
        .around(move |next, request| middleware::limit_requests(limiter.clone(), queue.clone(), next, request))
        // Preflights are not rate limited: a page whose preflight got a 429 would see only a network error.
        .around(cors::answer_preflight)
        .around(render_errors)
        .with(CatchPanic::new().with_handler(panic_response))
        .around(move |next, request| cors::add_headers(cors_state.clone(), next, request))
        .around(add_security_headers)
        .around(request_context::trace_request)
        .map_to_response()
        .boxed()
}

/// The routes of the private listener: metrics, and the health checks for probes that cannot reach the public listener.
pub(crate) fn private_app(state: Arc<AppState>, prometheus: PrometheusHandle) -> BoxEndpoint<'static, Response> {
    let metrics = make_sync(move |_| {
        Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(prometheus.render())
    });
    Route::new()
        .at("/metrics", get(metrics))
        .at("/health/live", get(health::live))
        .at("/health/ready", get(health::ready_in_detail))
        .data(state)
        .around(body::read_body)
        .around(render_errors)
        .map_to_response()
        .boxed()
}

fn static_document(content_type: &'static str, document: String) -> impl Endpoint<Output = Response> {
    make_sync(move |_| Response::builder().content_type(content_type).body(document.clone()))
}

/// Responds with a 500 without details. The panic hook has already written the message and its location to stderr.
fn panic_response(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request handler panicked; responded with 500");
    ErrorResponse::internal().into_response()
}

/// Layer that forbids content sniffing. It also forbids caching, unless the handler has set `Cache-Control`.
async fn add_security_headers<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
    let mut response = next.call(request).await?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn internal_errors_and_panics_are_answered_without_details() {
        let failing = make_sync(|_| -> poem::Result<Response> {
            Err(poem::Error::from_string("secret", poem::http::StatusCode::BAD_GATEWAY))
        });
        let panicking = make_sync(|_| -> poem::Result<Response> { panic!("secret") });
        let app = Route::new()
            .at("/failing", failing)
            .at("/panicking", panicking)
            .around(render_errors)
            .with(CatchPanic::new().with_handler(panic_response));
        for path in ["/failing", "/panicking"] {
            let request = Request::builder().uri_str(path).finish();
            let response = app.get_response(request).await;
            assert_eq!(response.status(), poem::http::StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            let body = response.into_body().into_string().await.unwrap();
            assert!(body.contains("\"internal_error\"") && !body.contains("secret"), "{path}: {body}");
        }
    }
}
