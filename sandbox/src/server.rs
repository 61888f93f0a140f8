//! The HTTP server of both stand-ins. It serves poem's endpoints with its own accept loop, because a stand-in must be
//! able to close a connection without a response, which poem's server cannot do.

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

/// Serves requests until it is dropped. Then all connections are closed immediately.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    _stop: DropGuard,
}

/// A response extension that makes the server close the connection instead of sending the response.
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

    /// The address that the server listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

type Pages = Arc<BoxEndpoint<'static, Response>>;

async fn accept(listener: TcpListener, pages: Pages, stop: CancellationToken) {
    loop {
        // An error means that no file descriptors are left or that the client has closed the connection. Try again.
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
    // Ignore errors: the client or a fault has closed the connection, or the client sent no valid HTTP.
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(socket), service)
        .await
        .ok();
}
