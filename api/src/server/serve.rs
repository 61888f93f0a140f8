//! The program's run: two listeners, the watch over the outbox, and a stop that lets requests finish.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use poem::{Response, endpoint::BoxEndpoint};
use program::StopSignals;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{connection, router};
use crate::{admission::queue_monitor, metrics, settings::ApiSettings, state::AppState};

/// Most open connections of a listener. Further ones wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 10_000;
/// Longest time to let requests finish after the first signal.
const STOP_TIME: Duration = Duration::from_secs(10);
/// Pause after a failed accept: the process may have run out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the program could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// `DATABASE_URL` is one that Postgres's client does not take. The text shows no part of it.
    #[error("DATABASE_URL: is not a Postgres URL (example: postgres://api:secret@db.internal/outbox)")]
    DatabaseUrl,
    /// An address to listen on is taken, or not ours.
    #[error("{variable}: cannot listen on {address}: {source}")]
    Listen {
        /// The setting.
        variable: &'static str,
        /// Its value.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system did not install the signal handlers.
    #[error("cannot wait for signals: {0}")]
    Signals(io::Error),
    /// The system gives us no thread.
    #[error("cannot start a thread: {0}")]
    Threads(io::Error),
    /// The metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(String),
}

/// Serves until SIGTERM or SIGINT, then lets requests finish; a second signal ends it at once.
///
/// # Errors
/// [`ServeError`]: it could not start. Postgres may be away: then requests are answered 503 until it is there.
pub async fn serve(settings: ApiSettings) -> Result<(), ServeError> {
    let mut signals = StopSignals::new().map_err(ServeError::Signals)?;
    let prometheus = metrics::install().map_err(|error| ServeError::Metrics(error.to_string()))?;
    let pool = outbox::connect(&settings.database_url, settings.database_max_connections, "magic-link-api")
        .map_err(|_| ServeError::DatabaseUrl)?;
    let door = AppState::new(&settings, pool).map_err(ServeError::Threads)?;
    if door.allowed_origins.any_localhost() {
        tracing::warn!("CALLBACK_ORIGINS allows http://localhost:*, which is for development");
    }
    let private = bind("API_PRIVATE_LISTEN", settings.private_listen).await?;
    let public = bind("API_LISTEN", settings.listen).await?;
    announce("listening privately", &private);
    announce("listening", &public);

    let stop = CancellationToken::new();
    let connections = TaskTracker::new();
    let private_app = Arc::new(router::private(door.clone(), prometheus.clone()));
    tokio::spawn(accept(private, private_app, connections.clone(), stop.clone(), |_| ()));
    let public_app = Arc::new(router::public(door.clone()));
    tokio::spawn(accept(public, public_app, connections.clone(), stop.clone(), metrics::set_connections));
    tokio::spawn(queue_monitor::prepare(door.pool.clone(), door.queue.clone(), settings.migrate_on_start));
    tokio::spawn(queue_monitor::watch(door.pool.clone(), door.queue.clone()));
    tokio::spawn(async move { door.ip_limit.keep_small().await });
    tokio::spawn(metrics::keep_small(prometheus));

    signals.next().await;
    tracing::info!("stopping: requests in flight may finish");
    stop.cancel();
    connections.close();
    tokio::select! {
        finished = timeout(STOP_TIME, connections.wait()) => tracing::info!(all_finished = finished.is_ok(), "stopped"),
        () = signals.next() => tracing::warn!("stopped at once, on a second signal"),
    }
    Ok(())
}

async fn bind(variable: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).await.map_err(|source| ServeError::Listen { variable, address, source })
}

/// The line that whoever started the program waits for: it tells the port, where the setting left it open.
fn announce(message: &'static str, listener: &TcpListener) {
    match listener.local_addr() {
        Ok(address) => tracing::info!(address = address.to_string(), "{message}"),
        Err(error) => tracing::warn!(%error, "{message}"),
    }
}

/// Accepts connections until the stop.
async fn accept(
    listener: TcpListener,
    app: Arc<BoxEndpoint<'static, Response>>,
    connections: TaskTracker,
    stop: CancellationToken,
    report: fn(u32),
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // The place first: a connection that finds none stays in the backlog.
        let next = async {
            let place = places.clone().acquire_owned().await.ok()?;
            Some((place, accept_one(&listener).await))
        };
        let Some(Some((place, (socket, peer)))) = stop.run_until_cancelled(next).await else { return };
        let open = move |places: &Semaphore| {
            report(u32::try_from(MAX_CONNECTIONS - places.available_permits()).unwrap_or(u32::MAX));
        };
        open(&places);
        let (app, places) = (app.clone(), places.clone());
        let stop = stop.clone();
        connections.spawn(async move {
            connection::serve(socket, peer, app, stop).await;
            drop(place);
            open(&places);
        });
    }
}

async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // Answers are small and whole: nothing is gained by waiting for more.
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
