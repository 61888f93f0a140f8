//! Health checks: `live` says that the program runs, `ready` whether it can accept a job, and if not, what is missing.
//!
//! They run no query: the queue monitor polls every second whether a request could be committed, and hears of each that is
//! refused. On the public listener they
//! reveal no settings; on the private one `ready` names the setting and has the server's own words.

use std::sync::Arc;

use poem::{Response, handler, http::StatusCode, web::Data};
use serde_json::json;

use crate::{admission::queue_monitor::NotReady, http::error::json_response, state::AppState};

/// `GET /health/live`
#[handler]
pub(crate) fn live() -> Response {
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /health/ready` of the private listener
#[handler]
pub(crate) fn ready_in_detail(state: Data<&Arc<AppState>>) -> Response {
    let Some(not_ready) = state.queue.not_ready() else {
        return json_response(StatusCode::OK, &json!({ "status": "ok", "checks": { "database": { "status": "ok" } } }));
    };
    let message = state.queue.outage_reason().unwrap_or_else(|| match not_ready {
        NotReady::DatabaseUnreachable => "it does not answer".to_owned(),
        NotReady::DatabaseNotPrepared => {
            "its tables are not those of this version, or cannot be made: see the log".to_owned()
        }
    });
    let database =
        json!({ "status": "down", "code": "database_unavailable", "message": message, "setting": "DATABASE_URL" });
    let body = json!({ "status": "unavailable", "checks": { "database": database } });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &body)
}

/// `GET /health/ready` of the public listener
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
