//! Serves `/health/live`, `/health/ready` and `/metrics` on `WORKER_LISTEN`. Keep this address private: `/health/ready`
//! reports what is wrong, which setting to check, and which programs are running. After the first signal to stop, the
//! worker is not ready.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use chrono::{DateTime, Utc};
use metrics_exporter_prometheus::PrometheusHandle;
use outbox::{
    OutageReason, ProgramKind, Upstream,
    operate::pauses::{self, Pause},
    programs::ProgramsSummary,
    upstreams::{self, Stop},
};
use poem::{
    Endpoint, EndpointExt as _, IntoResponse as _, Response, Route, get, handler,
    http::StatusCode,
    middleware::CatchPanic,
    web::{Data, Json},
};
use serde::Serialize;
use tokio::time::timeout;

use crate::runtime::worker::Worker;

/// Timeout for the database check: longer than a healthy database takes to respond, shorter than a health prober waits.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The routes of the health server.
pub(crate) fn routes(worker: Arc<Worker>, metrics: PrometheusHandle) -> impl Endpoint {
    Route::new()
        .at("/health/live", get(live))
        .at("/health/ready", get(ready))
        .at("/metrics", get(render_metrics))
        .data(worker)
        .data(metrics)
        .with(CatchPanic::new().with_handler(panic_response))
}

/// Responds with 503 and no details. A pooler that switches to transaction mode can return another statement's rows,
/// and sqlx may then panic. The prober must still get a response.
fn panic_response(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a health check panicked; responded with 503");
    Json(HealthReport::new("unavailable")).with_status(StatusCode::SERVICE_UNAVAILABLE).into_response()
}

#[handler]
fn live() -> Json<HealthReport> {
    Json(HealthReport::new("ok"))
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
    /// What operators have paused. A pause is intended, so the worker stays ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pauses: Vec<PauseReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    programs: Option<ProgramsSummary>,
}

#[derive(Serialize)]
struct PauseReport {
    target: String,
    reason: String,
    paused_by: String,
    ends_at: DateTime<Utc>,
}

impl HealthReport {
    fn new(status: &'static str) -> Self {
        Self { status, checks: BTreeMap::new(), pauses: Vec::new(), programs: None }
    }
}

#[derive(Serialize)]
#[serde(tag = "status", rename_all = "lowercase")]
enum Check {
    Ok,
    Down { code: String, message: String, setting: String },
}

async fn run_checks(worker: &Worker) -> HealthReport {
    if worker.shutdown.claims.is_cancelled() {
        let checks = BTreeMap::from([("shutdown", stopping())]);
        return HealthReport { checks, ..HealthReport::new("unavailable") };
    }
    let (database, SharedState { stops, pauses }) = check_database(worker).await;
    let checks = BTreeMap::from([
        ("database", database),
        (Upstream::Supabase.as_str(), check_upstream(&stops, Upstream::Supabase)),
        (Upstream::Mailgun.as_str(), check_upstream(&stops, Upstream::Mailgun)),
    ]);
    let is_ok = checks.values().all(|check| matches!(check, Check::Ok));
    let status = if is_ok { "ok" } else { "unavailable" };
    let pauses = pauses.into_iter().map(|pause| PauseReport {
        target: pause.target,
        reason: pause.reason,
        paused_by: pause.paused_by,
        ends_at: pause.ends_at,
    });
    HealthReport { status, checks, pauses: pauses.collect(), programs: worker.reporter.latest() }
}

/// The stopped upstreams and the operators' pauses. Both apply to all workers.
#[derive(Default)]
struct SharedState {
    stops: Vec<Stop>,
    pauses: Vec<Pause>,
}

/// Checks the database, and reads from it which upstreams are stopped and what is paused.
async fn check_database(worker: &Worker) -> (Check, SharedState) {
    if !worker.has_own_sessions.load(Ordering::Relaxed) {
        return (database_down(worker, OutageReason::away("Postgres has not answered yet")), SharedState::default());
    }
    let (state, recording) = tokio::join!(
        timeout(DATABASE_TIMEOUT, read_shared_state(worker)),
        timeout(DATABASE_TIMEOUT, worker.committers.check())
    );
    // `observe` logs the errors that make the worker unready.
    let state = state.map(|state| worker.outage.observe(state));
    let recording = recording.map(|recording| worker.outage.observe(recording));
    match state {
        Ok(Ok(state)) if !worker.is_prepared.load(Ordering::Relaxed) => {
            (database_down(worker, OutageReason::away("the tables cannot be prepared: see the log")), state)
        }
        Ok(Ok(state)) => match recording {
            Ok(Ok(())) => (Check::Ok, state),
            Ok(Err(error)) => (database_down(worker, error.outage()), state),
            Err(_) => (database_down(worker, OutageReason::away("Postgres does not answer")), state),
        },
        Ok(Err(error)) => (database_down(worker, error.outage()), SharedState::default()),
        Err(_) => (database_down(worker, OutageReason::away("Postgres does not answer")), SharedState::default()),
    }
}

async fn read_shared_state(worker: &Worker) -> Result<SharedState, outbox::Error> {
    outbox::check_schema(&worker.pool, ProgramKind::Worker).await?;
    Ok(SharedState { stops: upstreams::stops(&worker.pool).await?, pauses: pauses::pauses(&worker.pool).await? })
}

fn stopping() -> Check {
    Check::Down {
        code: "stopping".to_owned(),
        message: "the worker has received a signal and is stopping".to_owned(),
        setting: "SHUTDOWN_SECONDS".to_owned(),
    }
}

/// Reports the database as down. Uses the reason that the regular checks have found, because it may contain the
/// server's own message; without such a reason, uses `found`.
fn database_down(worker: &Worker, found: OutageReason) -> Check {
    let OutageReason { text, .. } = worker.outage.reason().unwrap_or(found);
    Check::Down { code: "database_unavailable".to_owned(), message: text, setting: "DATABASE_URL".to_owned() }
}

/// Reports an upstream as down while it is stopped. A stop applies to all workers.
fn check_upstream(stops: &[Stop], upstream: Upstream) -> Check {
    match stops.iter().find(|stop| stop.upstream == upstream) {
        Some(stop) => Check::Down {
            code: stop.failure.code.clone(),
            message: stop.failure.message.clone(),
            setting: stop.setting.clone(),
        },
        None => Check::Ok,
    }
}
