//! Runs the worker from start to stop: serves health checks immediately, checks and prepares the database, and delivers
//! jobs until the process receives a signal to stop.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use poem::{Server, listener::TcpAcceptor};
use tokio::task::JoinHandle;

use super::{
    check_database, check_pooler, check_upstreams, claim_loop, gauges, health, maintenance, prepare::prepare, reload,
    report_capacity, report_program,
};
use crate::{
    metrics,
    runtime::worker::{Worker, max_connections},
    settings::WorkerSettings,
};

/// Runs the worker until SIGTERM or SIGINT.
///
/// # Errors
/// The worker cannot be created from the settings, its address cannot be bound, the signal handlers or the metrics
/// cannot be installed, or the scheduler cannot be started or stopped.
pub async fn run(settings: &WorkerSettings) -> anyhow::Result<()> {
    settings.log_warnings();
    let worker = Arc::new(Worker::new(settings)?);
    worker.shutdown.on_signals()?;
    let reloads = reload::start(Arc::clone(&worker), settings.reload_source.clone())?;
    let health = serve_health(&worker, settings).await?;
    tokio::select! {
        () = check_pooler::run(&worker) => {}
        () = worker.shutdown.claims.cancelled() => return Ok(()),
    }
    let renewer = spawn_lease_renewer(&worker);
    let database_checks = tokio::spawn(check_database::run(Arc::clone(&worker)));
    tracing::info!(max_connections = max_connections(settings), "database connection limit");

    tokio::select! {
        () = prepare(&worker, settings.database.migrate_on_start) => {}
        () = worker.shutdown.claims.cancelled() => return Ok(()),
    }
    // Start the following tasks only after `prepare`, because they need the tables.
    let gauges = tokio::spawn(gauges::run(Arc::clone(&worker)));
    let checks = tokio::spawn(check_upstreams::run(Arc::clone(&worker)));
    let reports = tokio::spawn(report_program::run(Arc::clone(&worker)));
    let capacity = tokio::spawn(report_capacity::run(Arc::clone(&worker)));
    let mut scheduler =
        maintenance::start(&worker).await.map_err(|error| anyhow!("could not start the scheduler: {error}"))?;
    claim_loop::run(&worker).await;

    scheduler.shutdown().await.map_err(|error| anyhow!("could not stop the scheduler: {error}"))?;
    reloads.abort();
    reports.abort();
    worker.reporter.report_stop(&worker.pool).await;
    renewer.abort();
    gauges.abort();
    capacity.abort();
    checks.abort();
    database_checks.abort();
    health.abort();
    tracing::info!("the worker has stopped");
    Ok(())
}

/// Starts the HTTP server for health checks and metrics. The server also runs while the database is unavailable.
async fn serve_health(
    worker: &Arc<Worker>,
    settings: &WorkerSettings,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let prometheus = metrics::install()?;
    metrics::start_portals(&worker.reporter.portals().unwrap_or_default());
    tokio::spawn(metrics::run_upkeep(prometheus.clone()));
    let listener = program::listen("WORKER_LISTEN", settings.listen).await?;
    let address = listener.local_addr()?;
    let acceptor = TcpAcceptor::from_tokio(listener)?;
    tracing::info!(%address, worker = %worker.name, "listening for health checks and metrics");
    let server = Server::new_with_acceptor(acceptor).idle_timeout(Duration::from_secs(60));
    Ok(tokio::spawn(server.run(health::routes(Arc::clone(worker), prometheus))))
}

fn spawn_lease_renewer(worker: &Arc<Worker>) -> JoinHandle<()> {
    let worker = Arc::clone(worker);
    tokio::spawn(async move { worker.lease_renewer.run(&worker.pool, &worker.outage).await })
}
