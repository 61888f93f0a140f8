//! Runs the program: opens both listeners, starts the background tasks, and serves until it is stopped.

use std::{io, sync::Arc};

use metrics_exporter_prometheus::PrometheusHandle;
use poem::{Response, endpoint::BoxEndpoint};
use program::{ListenError, ReloadSignal, StopSignals, io_problem};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    accept::Acceptor, connection::ConnectionContext, prepare_database::prepare_database, report_program, router,
    shutdown::Shutdown,
};
use crate::{
    admission::queue_monitor,
    metrics, operator_retries,
    portal::{self, reload},
    settings::{ApiSettings, ConnectionSettings},
    state::{self, AppState},
};

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `DATABASE_URL` is not a Postgres URL. The message shows no part of the URL, because the URL contains a password.
    #[error("DATABASE_URL is not a Postgres URL (example: postgres://api:secret@db.internal/outbox)")]
    DatabaseUrl,
    /// An address to listen on is in use or not available on this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The operating system could not install the signal handlers.
    #[error("cannot wait for signals: {}", io_problem(.0))]
    Signals(io::Error),
    /// The operating system could not start a thread.
    #[error("cannot start a thread: {}", io_problem(.0))]
    Threads(io::Error),
    /// The metrics recorder could not be installed.
    #[error("cannot record metrics: {0}")]
    Metrics(String),
}

/// Serves until SIGTERM or SIGINT. Then accepts requests for another `DRAIN_SECONDS`, and gives the requests in flight
/// ten seconds to finish. A second signal stops the program immediately.
///
/// # Errors
/// [`ServeError`] if the program cannot start. An unreachable Postgres is not an error: requests are answered with 503
/// until Postgres is back.
pub async fn serve(settings: ApiSettings) -> Result<(), ServeError> {
    let mut signals = StopSignals::new().map_err(ServeError::Signals)?;
    let reload_signal = ReloadSignal::new().map_err(ServeError::Signals)?;
    let prometheus = metrics::install().map_err(|error| ServeError::Metrics(error.to_string()))?;
    let pool = outbox::connect(&settings.database_url, settings.database_max_connections, "magic-link-api")
        .map_err(|_| ServeError::DatabaseUrl)?;
    let state = AppState::new(&settings, pool).map_err(ServeError::Threads)?;
    portal::warnings::log(&settings.live, settings.confirm.as_ref());
    let private = program::listen("API_PRIVATE_LISTEN", settings.private_listen).await?;
    let public = program::listen("API_LISTEN", settings.listen).await?;
    log_address("listening privately for metrics and health checks", &private);
    log_address("listening for requests", &public);
    tracing::info!(max_connections = state::max_connections(&settings), "database connection limit");

    let shutdown = Shutdown {
        draining: state.draining.clone(),
        drain: settings.connections.drain,
        stop: CancellationToken::new(),
        connections: TaskTracker::new(),
    };
    let acceptor = |listener, app, on_change| acceptor(listener, app, &settings.connections, &shutdown, on_change);
    let private = acceptor(private, router::private_app(state.clone(), prometheus.clone()), |_| ());
    let public = acceptor(public, router::public_app(state.clone()), metrics::set_connections);
    for acceptor in [private, public] {
        tokio::spawn(acceptor.run(shutdown.connections.clone(), shutdown.stop.clone()));
    }
    spawn_background_tasks(&state, prometheus, settings.migrate_on_start);
    tokio::spawn(reload::run(state.clone(), reload_signal, settings.live_source.clone()));
    let reports = tokio::spawn(report_program::run(state.clone()));
    if shutdown.run(&mut signals).await {
        reports.abort();
        state.webhook_log.write();
        state.reporter.report_stop(&state.pool).await;
    }
    Ok(())
}

fn acceptor(
    listener: TcpListener,
    app: BoxEndpoint<'static, Response>,
    settings: &ConnectionSettings,
    shutdown: &Shutdown,
    on_change: fn(usize),
) -> Acceptor {
    let context = ConnectionContext { app, keep_alive: settings.keep_alive, draining: shutdown.draining.clone() };
    Acceptor { listener, context, max_connections: settings.max, on_change }
}

fn spawn_background_tasks(state: &Arc<AppState>, prometheus: PrometheusHandle, migrate_on_start: bool) {
    tokio::spawn(prepare_database(state.pool.clone(), state.queue.clone(), migrate_on_start));
    tokio::spawn(queue_monitor::poll(state.clone()));
    tokio::spawn(operator_retries::run(state.clone()));
    let limiter = state.ip_limiter.clone();
    tokio::spawn(async move { limiter.run_cleanup().await });
    if let Some(page) = state.confirm_page.clone() {
        tokio::spawn(async move { page.run_cleanup().await });
    }
    let state = state.clone();
    tokio::spawn(async move { state.webhook_log.run().await });
    tokio::spawn(metrics::run_upkeep(prometheus));
}

/// Logs the address of a listener. Scripts and tests wait for this line, which shows the port that the system chose for
/// port 0.
fn log_address(message: &'static str, listener: &TcpListener) {
    match listener.local_addr() {
        Ok(address) => tracing::info!(address = address.to_string(), "{message}"),
        Err(error) => tracing::warn!(%error, "{message}"),
    }
}
