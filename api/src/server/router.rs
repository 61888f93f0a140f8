//! The routes, and the layers around them in the order in which a request meets them.

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
    http::{body, error, request_id},
    ip_limit::middleware,
    state::AppState,
};

/// The public listener's app. Read from the bottom: the last layer is the outermost.
pub(crate) fn public(door: Arc<AppState>) -> BoxEndpoint<'static, Response> {
    let (for_cors, for_limit) = (door.clone(), door.clone());
    document::page::add_to(Route::new())
        .nest("/api", document::service())
        .at("/api/openapi.json", get(served("application/json", document::json())))
        .at("/api/openapi.yaml", get(served("application/yaml", document::yaml())))
        .at("/health/live", get(health::live))
        .at("/health/ready", get(health::ready))
        .data(door)
        .around(body::receive)
        .around(move |next, request| middleware::limit(for_limit.clone(), next, request))
        // Not limited: a page whose preflight is refused could not read why.
        .around(cors::answer_preflight)
        .around(error::wrap)
        .with(CatchPanic::new().with_handler(panicked))
        .around(move |next, request| cors::add_headers(for_cors.clone(), next, request))
        .around(harden)
        .around(request_id::name)
        .map_to_response()
        .boxed()
}

/// The private listener's app: metrics, and health for those who may not reach the public one.
pub(crate) fn private(door: Arc<AppState>, prometheus: PrometheusHandle) -> BoxEndpoint<'static, Response> {
    let metrics = make_sync(move |_| {
        Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(prometheus.render())
    });
    Route::new()
        .at("/metrics", get(metrics))
        .at("/health/live", get(health::live))
        .at("/health/ready", get(health::ready))
        .data(door)
        .around(body::receive)
        .around(error::wrap)
        .map_to_response()
        .boxed()
}

fn served(content_type: &'static str, document: String) -> impl Endpoint<Output = Response> {
    make_sync(move |_| Response::builder().content_type(content_type).body(document.clone()))
}

/// A panic is our fault, and our secret: the panic hook writes what and where to stderr.
fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a request panicked");
    error::ErrorResponse::internal().into_response()
}

/// Answers are not to be sniffed, nor kept by anybody on the way, unless they say that they may be.
async fn harden<E: Endpoint>(next: Arc<E>, request: Request) -> poem::Result<Response> {
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
    async fn faults_of_ours_are_answered_without_a_word_about_them() {
        let failing = make_sync(|_| -> poem::Result<Response> {
            Err(poem::Error::from_string("secret", poem::http::StatusCode::BAD_GATEWAY))
        });
        let panicking = make_sync(|_| -> poem::Result<Response> { panic!("secret") });
        let app = Route::new()
            .at("/failing", failing)
            .at("/panicking", panicking)
            .around(error::wrap)
            .with(CatchPanic::new().with_handler(panicked));
        for path in ["/failing", "/panicking"] {
            let request = Request::builder().uri_str(path).finish();
            let response = app.get_response(request).await;
            assert_eq!(response.status(), poem::http::StatusCode::INTERNAL_SERVER_ERROR, "{path}");
            let body = response.into_body().into_string().await.unwrap();
            assert!(body.contains("\"internal_error\"") && !body.contains("secret"), "{path}: {body}");
        }
    }
}
