//! Serves one connection with hyper (HTTP/1.1) and closes it when the caller is too slow.
//!
//! poem sets no header timeout, and hyper's header timeout would also run between requests. This module therefore
//! observes the socket ([`ObservedSocket`], [`ConnectionDeadline`]).

use std::{
    convert::Infallible,
    future::{Future as _, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use poem::{
    Endpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::{HeaderValue, header, uri::Scheme},
    web::{LocalAddr, RemoteAddr},
};
use tokio::{net::TcpStream, time::sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    deadline::{ConnectionDeadline, Phase},
    observed_socket::ObservedSocket,
    open_connections::OpenConnection,
};

/// Maximum size of a request's head in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The data that all connections of a listener share.
pub(super) struct ConnectionContext {
    pub(super) app: BoxEndpoint<'static, Response>,
    /// How long a connection may be idle between requests.
    pub(super) keep_alive: Duration,
    /// Cancelled when the program begins to stop. From then on, each response closes its connection, so that a load
    /// balancer opens the next connection to another instance. An idle connection stays open, because a request may be
    /// on its way.
    pub(super) draining: CancellationToken,
}

/// Serves a connection until it ends or misses a deadline. Once the connection is asked to close, it ends after the
/// current request.
pub(super) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    context: Arc<ConnectionContext>,
    connection: OpenConnection,
) {
    let Ok(local) = socket.local_addr() else { return };
    let closing = connection.closing().clone();
    let deadline = Arc::new(ConnectionDeadline::new(connection, context.keep_alive));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        deadline.note_request();
        let (context, deadline) = (context.clone(), deadline.clone());
        let request = Request::from((request, LocalAddr(local.into()), RemoteAddr(peer.into()), Scheme::HTTP));
        async move { Ok::<_, Infallible>(hyper::Response::from(respond(request, &context, &deadline).await)) }
    });
    let mut http = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(ObservedSocket::new(socket, deadline.clone())), service)
    );
    let mut asked_to_close = pin!(closing.cancelled());
    let mut is_closing = false;
    let mut timer = pin!(sleep_until(deadline.get()));
    poll_fn(|context| {
        // Read first, so that a request that has already arrived is answered. Ignore errors: the caller reset the
        // connection or sent something other than HTTP.
        if http.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        // Do not close while a head is arriving: hyper would close the connection without reading the rest of the head.
        if !is_closing && asked_to_close.as_mut().poll(context).is_ready() && deadline.phase() != Phase::Head {
            is_closing = true;
            http.as_mut().graceful_shutdown();
            if http.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
        }
        let current = deadline.get();
        if timer.deadline() != current {
            timer.as_mut().reset(current);
        }
        timer.as_mut().poll(context)
    })
    .await;
}

/// Calls the app, and adds `Connection: close` to the response if the connection must not be kept open.
async fn respond(request: Request, context: &ConnectionContext, deadline: &ConnectionDeadline) -> Response {
    let mut response = context.app.get_response(request).await;
    if context.draining.is_cancelled() || deadline.connection().closes_after_response() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    deadline.note_response();
    response
}
