//! The worker's life: health at once, the database when it is there, then jobs until a signal.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use poem::{Server, listener::TcpAcceptor};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{claim_loop, gauges, health, maintenance, prepare::prepare, report_capacity};
use crate::{metrics, runtime::worker::Worker, settings::WorkerSettings};

/// Works until SIGTERM or SIGINT.
///
/// # Errors
/// `WORKER_LISTEN` cannot be bound, or something that never fails did.
pub async fn run(settings: &WorkerSettings) -> anyhow::Result<()> {
    let worker = Arc::new(Worker::new(settings)?);
    worker.stop.on_signals()?;
    let health = serve_health(&worker, settings).await?;
    let keeper = keep_leases(&worker);

    tokio::select! {
        () = prepare(&worker, settings.database.migrate_on_start) => {}
        () = worker.stop.claims.cancelled() => return Ok(()),
    }
    // Not before: without its tables, a database is no more than "not up".
    let gauges = tokio::spawn(gauges::keep_true(Arc::clone(&worker)));
    let capacity = tokio::spawn(report_capacity::report_capacity(Arc::clone(&worker)));
    let mut chores = maintenance::start(&worker).await.context("housekeeping")?;
    claim_loop::run(&worker).await;

    chores.shutdown().await.context("housekeeping")?;
    keeper.abort();
    gauges.abort();
    capacity.abort();
    health.abort();
    tracing::info!("stopped");
    Ok(())
}

/// Serves health and metrics from the first moment on, also while the database is away.
async fn serve_health(
    worker: &Arc<Worker>,
    settings: &WorkerSettings,
) -> anyhow::Result<JoinHandle<std::io::Result<()>>> {
    let prometheus = metrics::install()?;
    tokio::spawn(metrics::keep_small(prometheus.clone()));
    let listener = TcpListener::bind(settings.listen)
        .await
        .with_context(|| format!("WORKER_LISTEN: {} cannot be listened on", settings.listen))?;
    let address = listener.local_addr()?;
    let acceptor = TcpAcceptor::from_tokio(listener)?;
    tracing::info!(%address, worker = %worker.name, "listening");
    let server = Server::new_with_acceptor(acceptor).idle_timeout(Duration::from_secs(60));
    Ok(tokio::spawn(server.run(health::routes(Arc::clone(worker), prometheus))))
}

fn keep_leases(worker: &Arc<Worker>) -> JoinHandle<()> {
    let worker = Arc::clone(worker);
    tokio::spawn(async move { worker.leases.keep(&worker.pool, &worker.outage).await })
}
