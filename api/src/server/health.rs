//! Health checks: `live` says that the program runs, `ready` whether it can accept a job, and if not, what is missing.
//!
//! They are public, so they reveal no settings and run no query.

use std::sync::Arc;

use poem::{Response, handler, http::StatusCode, web::Data};
use serde_json::json;

use crate::{admission::queue_monitor::NotReady, http::error::json_response, state::AppState};

/// `GET /health/live`
#[handler]
pub(crate) fn live() -> Response {
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /health/ready`
#[handler]
pub(crate) fn ready(state: Data<&Arc<AppState>>) -> Response {
    let database = match state.queue.not_ready() {
        None => return json_response(StatusCode::OK, &json!({ "status": "ok", "checks": { "database": "ok" } })),
        Some(NotReady::DatabaseUnreachable) => "unreachable",
        Some(NotReady::DatabaseNotPrepared) => "not prepared",
    };
    // Includes the fields of the error object, as every unsuccessful response does.
    let body = json!({
        "status": "unavailable",
        "checks": { "database": database },
        "error": format!("database: {database}"),
        "code": "unavailable",
    });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &body)
}
