//! Health checks. `live` reports that the program is running. `ready` reports whether the program can commit a job to
//! the database, and if not, why. After the first stop signal, the program is no longer ready.
//!
//! The health checks run no queries. They read the queue monitor, which checks every second whether a request could be
//! committed and records each commit that fails. The public listener reveals no settings. On the private listener,
//! `ready` shows the setting to check, includes Postgres's own message, and lists the running programs.

use std::sync::Arc;

use outbox::OutageReason;
use poem::{Response, handler, http::StatusCode, web::Data};
use serde_json::{Value, json};

use crate::{
    admission::queue_monitor::{NotReady, QueueMonitor},
    http::error::json_response,
    state::AppState,
};

/// `GET /health/live`
#[handler]
pub(crate) fn live() -> Response {
    json_response(StatusCode::OK, &json!({ "status": "ok" }))
}

/// `GET /health/ready` on the private listener
#[handler]
pub(crate) fn ready_in_detail(state: Data<&Arc<AppState>>) -> Response {
    if state.draining.is_cancelled() {
        let message = "the program is stopping after a signal";
        let shutdown = json!({ "status": "down", "code": "stopping", "message": message, "setting": "DRAIN_SECONDS" });
        let body = json!({ "status": "unavailable", "checks": { "shutdown": shutdown } });
        return json_response(StatusCode::SERVICE_UNAVAILABLE, &body);
    }
    let (status, mut body) = match state.queue.not_ready() {
        None => (StatusCode::OK, json!({ "status": "ok", "checks": { "database": { "status": "ok" } } })),
        Some(not_ready) => {
            let database = describe_outage(&state.queue, not_ready);
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "status": "unavailable", "checks": { "database": database } }))
        }
    };
    if let Some(programs) = state.reporter.latest() {
        body["programs"] = json!(programs);
    }
    json_response(status, &body)
}

fn describe_outage(queue: &QueueMonitor, not_ready: NotReady) -> Value {
    let OutageReason { text, .. } = queue.outage_reason().unwrap_or_else(|| {
        OutageReason::away(match not_ready {
            NotReady::DatabaseUnreachable => "Postgres does not answer",
            NotReady::DatabaseNotPrepared => "the tables are not prepared yet",
        })
    });
    json!({ "status": "down", "code": "database_unavailable", "message": text, "setting": "DATABASE_URL" })
}

/// `GET /health/ready` on the public listener
#[handler]
pub(crate) fn ready(state: Data<&Arc<AppState>>) -> Response {
    let (check, problem) = match state.queue.not_ready() {
        _ if state.draining.is_cancelled() => ("shutdown", "stopping"),
        None => return json_response(StatusCode::OK, &json!({ "status": "ok", "checks": { "database": "ok" } })),
        Some(NotReady::DatabaseUnreachable) => ("database", "unreachable"),
        Some(NotReady::DatabaseNotPrepared) => ("database", "not prepared"),
    };
    // Include `error` and `code`, the fields of all error responses, so that callers can read this one in the same way.
    let body = json!({
        "status": "unavailable",
        "checks": { check: problem },
        "error": format!("{check}: {problem}"),
        "code": "unavailable",
    });
    json_response(StatusCode::SERVICE_UNAVAILABLE, &body)
}
