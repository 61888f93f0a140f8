//! Health: `live` says that the program runs, `ready` whether it can accept a job, and if not, which part is down.
//! Public, so it names no setting and costs no look at the database.

use std::sync::Arc;

use poem::{Response, handler, http::StatusCode, web::Data};
use serde_json::json;

use crate::{admission::queue_monitor::NotReady, http::error, state::AppState};

/// `GET /health/live`
#[handler]
pub(crate) fn live() -> Response {
    error::json(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /health/ready`
#[handler]
pub(crate) fn ready(door: Data<&Arc<AppState>>) -> Response {
    let database = match door.queue.not_ready() {
        None => return error::json(StatusCode::OK, &json!({ "status": "ok", "checks": { "database": "ok" } })),
        Some(NotReady::Unreachable) => "unreachable",
        Some(NotReady::Unprepared) => "not prepared",
    };
    // The error object's fields besides, as in every answer that is not a success.
    let body = json!({
        "status": "unavailable",
        "checks": { "database": database },
        "error": format!("database: {database}"),
        "code": "unavailable",
    });
    error::json(StatusCode::SERVICE_UNAVAILABLE, &body)
}
