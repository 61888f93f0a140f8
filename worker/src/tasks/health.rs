//! Serves `/health/live`, `/health/ready` and `/metrics` on `WORKER_LISTEN`. Keep the address private: `/health/ready` names
//! what is wrong and which setting to check.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;
use outbox::{
    Upstream,
    upstreams::{self, OpenBreaker},
};
use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Response, Route, get, handler,
    http::StatusCode,
    web::{Data, Json},
};
use serde::Serialize;
use tokio::time::timeout;

use crate::runtime::worker::Worker;

/// Longer than a healthy database takes to respond, shorter than a prober waits.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The routes of the health server.
pub(crate) fn routes(worker: Arc<Worker>, metrics: PrometheusHandle) -> impl Endpoint {
    Route::new()
        .at("/health/live", get(live))
        .at("/health/ready", get(ready))
        .at("/metrics", get(render_metrics))
        .data(worker)
        .data(metrics)
}

#[handler]
fn live() -> Json<HealthReport> {
    Json(HealthReport { status: "ok", checks: BTreeMap::new() })
}

#[handler]
async fn ready(Data(worker): Data<&Arc<Worker>>) -> Response {
    let report = run_checks(worker).await;
    let status = if report.status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Json(report).with_header("cache-control", "no-store").with_status(status).into_response()
}

#[handler]
fn render_metrics(Data(metrics): Data<&PrometheusHandle>) -> Response {
    Response::builder().content_type("text/plain; version=0.0.4").body(metrics.render())
}

#[derive(Serialize)]
struct HealthReport {
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    checks: BTreeMap<&'static str, Check>,
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Check {
    Ok,
    Down { code: String, message: String, setting: String },
}

async fn run_checks(worker: &Worker) -> HealthReport {
    let breakers = timeout(DATABASE_TIMEOUT, open_breakers(worker)).await;
    let (database, breakers) = match breakers {
        Ok(Ok(breakers)) if worker.is_prepared.load(Ordering::Relaxed) => (Check::Ok, breakers),
        Ok(Ok(breakers)) => {
            (database_down("Its tables are not those of this version, or cannot be made: see the log."), breakers)
        }
        Ok(Err(error)) => (database_down(&error.to_string()), Vec::new()),
        Err(_) => (database_down("It does not answer."), Vec::new()),
    };
    let checks = BTreeMap::from([
        ("database", database),
        (Upstream::Supabase.as_str(), check_upstream(worker, &breakers, Upstream::Supabase, "SUPABASE_URL")),
        (Upstream::Mailgun.as_str(), check_upstream(worker, &breakers, Upstream::Mailgun, "MAILGUN_BASE_URL")),
    ]);
    let is_ok = checks.values().all(|check| matches!(check, Check::Ok));
    HealthReport { status: if is_ok { "ok" } else { "unavailable" }, checks }
}

async fn open_breakers(worker: &Worker) -> Result<Vec<OpenBreaker>, outbox::Error> {
    outbox::ping(&worker.pool).await?;
    upstreams::open_breakers(&worker.pool).await
}

fn database_down(message: &str) -> Check {
    Check::Down {
        code: "database_unavailable".to_owned(),
        message: message.to_owned(),
        setting: "DATABASE_URL".to_owned(),
    }
}

/// Reports an upstream as down if its breaker is open, which concerns all workers, or if the last calls of this worker
/// failed.
fn check_upstream(worker: &Worker, breakers: &[OpenBreaker], upstream: Upstream, url_setting: &str) -> Check {
    let open_breaker = breakers.iter().find(|breaker| breaker.upstream == upstream);
    let (failure, setting) = match open_breaker {
        Some(breaker) => (Some(breaker.failure.clone()), breaker.setting.clone()),
        None => (worker.upstream_health.down_reason(upstream), url_setting.to_owned()),
    };
    match failure {
        Some(failure) => Check::Down { code: failure.code, message: failure.message, setting },
        None => Check::Ok,
    }
}
