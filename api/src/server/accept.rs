//! Accepts the connections of a listener.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    connection::{self, ConnectionContext},
    open_connections::OpenConnections,
};

/// Pause after a failed accept. The usual cause is a lack of file descriptors, which an immediate retry would not fix.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener and the settings for its connections.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) context: ConnectionContext,
    /// Maximum number of open connections. Further connections wait in the kernel's backlog.
    pub(super) max_connections: usize,
    /// Called with the number of open connections when it changes.
    pub(super) on_change: fn(usize),
}

impl Acceptor {
    /// Accepts connections until `stop` is cancelled, and serves each connection in a task that `tasks` tracks. After
    /// `stop` is cancelled, idle connections close immediately, and busy ones close after the request in flight.
    pub(super) async fn run(self, tasks: TaskTracker, stop: CancellationToken) {
        let Self { listener, context, max_connections, on_change } = self;
        let context = Arc::new(context);
        let permits = Arc::new(Semaphore::new(max_connections));
        let connections = OpenConnections::new(max_connections, on_change);
        loop {
            // Wait for a permit before accepting, so that connections above the limit stay in the kernel's backlog.
            let next = async {
                let permit = permits.clone().acquire_owned().await.ok()?;
                Some((permit, accept_one(&listener).await))
            };
            let Some(Some((permit, (socket, peer)))) = stop.run_until_cancelled(next).await else { return };
            let connection = connections.add(stop.child_token());
            let context = context.clone();
            tasks.spawn(async move {
                connection::serve(socket, peer, context, connection).await;
                drop(permit);
            });
        }
    }
}

async fn accept_one(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                // Responses are small and written in one piece, so Nagle's algorithm would only add latency.
                socket.set_nodelay(true).ok();
                return (socket, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
