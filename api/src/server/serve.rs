//! Runs the program: opens both listeners, starts the background tasks, and lets requests finish before it stops.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use poem::{Response, endpoint::BoxEndpoint};
use program::StopSignals;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{connection, prepare_database::prepare_database, report_program, router};
use crate::{
    admission::queue_monitor,
    metrics,
    settings::ApiSettings,
    state::{self, AppState},
};

/// Maximum number of open connections per listener. Further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Longest time to let requests finish after the first signal.
const STOP_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept. The usual cause is a lack of file descriptors, which a retry at once would not fix.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the program could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `DATABASE_URL` is not a Postgres URL. The message shows no part of it, because it contains a password.
    #[error("DATABASE_URL: is not a Postgres URL (example: postgres://api:secret@db.internal/outbox)")]
    DatabaseUrl,
    /// An address to listen on is in use or not available on this machine.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Listen {
        /// The setting.
        variable: &'static str,
        /// Its value.
        address: SocketAddr,
        /// The operating system's error.
        source: io::Error,
    },
    /// The system did not install the signal handlers.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The operating system could not start a thread.
    #[error("cannot start a thread: {0}")]
    Threads(io::Error),
    /// The metrics recorder could not be installed.
    #[error("metrics: {0}")]
    Metrics(String),
}

/// Serves until SIGTERM or SIGINT, then lets requests finish; a second signal ends it at once.
///
/// # Errors
/// [`ServeError`] if the program cannot start. An unreachable Postgres is not an error: requests are answered 503 until
/// it is back.
pub async fn serve(settings: ApiSettings) -> Result<(), ServeError> {
    let mut signals = StopSignals::new().map_err(ServeError::Signals)?;
    let prometheus = metrics::install().map_err(|error| ServeError::Metrics(error.to_string()))?;
    let (pool, pooler_monitor) =
        outbox::connect_monitored(&settings.database_url, settings.database_max_connections, "magic-link-api")
            .map_err(|_| ServeError::DatabaseUrl)?;
    let state = AppState::new(&settings, pool, pooler_monitor).map_err(ServeError::Threads)?;
    if state.allowed_origins.any_localhost() {
        tracing::warn!("CALLBACK_ORIGINS allows http://localhost:*, which is for development");
    }
    let private = bind("API_PRIVATE_LISTEN", settings.private_listen).await?;
    let public = bind("API_LISTEN", settings.listen).await?;
    log_address("listening privately", &private);
    log_address("listening", &public);
    tracing::info!(connections = state::max_connections(&settings), "connections to the database, at most");

    let stop = CancellationToken::new();
    let connections = TaskTracker::new();
    let private_app = Arc::new(router::private_app(state.clone(), prometheus.clone()));
    tokio::spawn(accept(private, private_app, connections.clone(), stop.clone(), |_| ()));
    let public_app = Arc::new(router::public_app(state.clone()));
    tokio::spawn(accept(public, public_app, connections.clone(), stop.clone(), metrics::set_connections));
    tokio::spawn(prepare_database(state.pool.clone(), state.queue.clone(), settings.migrate_on_start));
    tokio::spawn(queue_monitor::poll(state.clone()));
    let reports = tokio::spawn(report_program::run(state.clone()));
    let ip_limiter = state.ip_limiter.clone();
    tokio::spawn(async move { ip_limiter.run_cleanup().await });
    tokio::spawn(metrics::run_upkeep(prometheus));

    signals.next().await;
    tracing::info!("stopping: requests in flight may finish");
    stop.cancel();
    connections.close();
    tokio::select! {
        finished = timeout(STOP_TIME, connections.wait()) => {
            reports.abort();
            report_program::stop(&state).await;
            tracing::info!(all_finished = finished.is_ok(), "stopped");
        }
        () = signals.next() => tracing::warn!("stopped at once, on a second signal"),
    }
    Ok(())
}

async fn bind(variable: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { variable, address, source })
}

/// Logs the address of a listener. Scripts and tests wait for this line to learn the port if the setting says port 0.
fn log_address(message: &'static str, listener: &TcpListener) {
    match listener.local_addr() {
        Ok(address) => tracing::info!(address = address.to_string(), "{message}"),
        Err(error) => tracing::warn!(%error, "{message}"),
    }
}

/// Accepts connections until `stop` is cancelled. Calls `on_change` with the number of open connections.
async fn accept(
    listener: TcpListener,
    app: Arc<BoxEndpoint<'static, Response>>,
    connections: TaskTracker,
    stop: CancellationToken,
    on_change: fn(u32),
) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Wait for a permit before accepting, so that connections above the limit stay in the kernel's backlog.
        let next = async {
            let permit = permits.clone().acquire_owned().await.ok()?;
            Some((permit, accept_one(&listener).await))
        };
        let Some(Some((permit, (socket, peer)))) = stop.run_until_cancelled(next).await else { return };
        let report_open = move |permits: &Semaphore| {
            on_change(u32::try_from(MAX_CONNECTIONS - permits.available_permits()).unwrap_or(u32::MAX));
        };
        report_open(&permits);
        let (app, permits) = (app.clone(), permits.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            connection::serve(socket, peer, app, stop).await;
            drop(permit);
            report_open(&permits);
        });
    }
}

async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // Responses are small and written at once, so Nagle's algorithm would only add latency.
                socket.set_nodelay(true).ok();
                return (socket, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
