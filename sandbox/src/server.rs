//! The HTTP server of both stand-ins. It has its own accept loop for poem's endpoints, because a stand-in must be able
//! to close a connection without an answer, and poem's server cannot.

use hyper::{Request as HyperRequest, Response as HyperResponse, body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use poem::{
    Endpoint, EndpointExt, IntoEndpoint, Response,
    endpoint::BoxEndpoint,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Serves until dropped, and then closes all connections at once.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

/// A response extension: close the connection instead of sending the response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut;

impl Server {
    /// Serves `endpoint` on a bound listener.
    pub(crate) fn start<E>(listener: TcpListener, endpoint: E) -> io::Result<Server>
    where
        E: IntoEndpoint,
        E::Endpoint: 'static,
    {
        let address = listener.local_addr()?;
        let endpoint = Arc::new(endpoint.map_to_response().boxed());
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(accept(listener, endpoint, stop.clone())));
        Ok(Server { address, _stop: stop.drop_guard() })
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

type Pages = Arc<BoxEndpoint<'static, Response>>;

async fn accept(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    loop {
        // There are no file descriptors left, or the client has closed the connection. The next accept may succeed.
        let Ok((socket, remote)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let connection = serve(socket, remote, pages.clone());
        tokio::spawn(stop.clone().run_until_cancelled_owned(connection));
    }
}

async fn serve(socket: TcpStream, remote: SocketAddr, pages: Pages) {
    socket.set_nodelay(true).ok();
    let Ok(local) = socket.local_addr() else {
        return;
    };
    let service = service_fn(move |request: HyperRequest<Incoming>| {
        let pages = pages.clone();
        async move {
            let from = (request, LocalAddr(local.into()), RemoteAddr(remote.into()), Scheme::HTTP);
            let response: HyperResponse<_> = pages.get_response(from.into()).await.into();
            match response.extensions().get::<Cut>() {
                // hyper closes the connection when a service fails.
                Some(Cut) => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
                None => Ok(response),
            }
        }
    });
    // An error means that the client left or that a fault cut the connection.
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .await
        .ok();
}
