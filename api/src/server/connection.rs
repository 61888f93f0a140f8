//! Serves one connection with hyper (HTTP/1.1) and closes it when the caller is too slow.
//!
//! poem sets no header timeout, and hyper's own would also run between requests. This module therefore observes the
//! socket: a request's head must arrive within 5 seconds, and a connection may be idle for 60 seconds between requests.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use poem::{
    Endpoint, Request, Response,
    endpoint::BoxEndpoint,
    http::uri::Scheme,
    web::{LocalAddr, RemoteAddr},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

/// Time limit for a request's head to arrive, counted from its first byte or from the start of the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit between two requests, and between two writes of a response.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time limit for handling a request. Handlers have shorter limits of their own; this one is a safety net.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum size of a request's head in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// Serves a connection until it ends or misses a deadline. After `stop` is cancelled, it ends with the current request.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    app: Arc<BoxEndpoint<'static, Response>>,
    stop: CancellationToken,
) {
    let Ok(local) = socket.local_addr() else { return };
    let deadline = Arc::new(ConnectionDeadline::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        deadline.enter(Phase::Handler);
        let (app, deadline) = (app.clone(), deadline.clone());
        let addresses = (LocalAddr(local.into()), RemoteAddr(peer.into()));
        let request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
        async move {
            let response = app.get_response(request).await;
            deadline.enter(Phase::Idle);
            Ok::<_, std::convert::Infallible>(hyper::Response::from(response))
        }
    });
    let socket = ObservedSocket { socket, deadline: deadline.clone() };
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(socket), service)
    );
    let mut stopping = pin!(stop.cancelled());
    let mut is_stopping = false;
    let mut timer = pin!(sleep_until(deadline.get()));
    poll_fn(|context| {
        if !is_stopping && stopping.as_mut().poll(context).is_ready() {
            is_stopping = true;
            connection.as_mut().graceful_shutdown();
        }
        // Ignore errors: the caller reset the connection or sent something other than HTTP.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let current = deadline.get();
        if timer.deadline() != current {
            timer.as_mut().reset(current);
        }
        timer.as_mut().poll(context)
    })
    .await;
}

/// What the connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The rest of a request's head, or the first byte of the first request.
    Head,
    /// The handler, including the body that it reads.
    Handler,
    /// The caller, to receive the response or to send the next request.
    Idle,
}

/// The current phase and the time by which it must end.
#[derive(Debug)]
struct ConnectionDeadline(Mutex<(Phase, Instant)>);

impl ConnectionDeadline {
    fn new() -> Self {
        Self(Mutex::new((Phase::Head, Instant::now() + HEAD_TIMEOUT)))
    }

    fn enter(&self, phase: Phase) {
        let timeout = match phase {
            Phase::Head => HEAD_TIMEOUT,
            Phase::Handler => HANDLER_TIMEOUT,
            Phase::Idle => IDLE_TIMEOUT,
        };
        *self.state() = (phase, Instant::now() + timeout);
    }

    /// Bytes were read from the socket.
    fn note_read(&self) {
        // Only the first byte of a head starts the timer; further bytes do not extend it.
        if self.state().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Bytes were written to the socket.
    fn note_write(&self) {
        if self.state().0 == Phase::Idle {
            self.enter(Phase::Idle);
        }
    }

    fn get(&self) -> Instant {
        self.state().1
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (Phase, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that reports reads and writes to its [`ConnectionDeadline`].
struct ObservedSocket {
    socket: TcpStream,
    deadline: Arc<ConnectionDeadline>,
}

impl AsyncRead for ObservedSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.deadline.note_read();
        }
        polled
    }
}

impl AsyncWrite for ObservedSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, bytes);
        if polled.is_ready() {
            self.deadline.note_write();
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bytes);
        if polled.is_ready() {
            self.deadline.note_write();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
