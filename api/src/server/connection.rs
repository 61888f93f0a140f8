//! One connection: HTTP/1.1 by hyper, with a deadline for whatever the caller owes next.
//!
//! hyper's own header timer also runs between requests, and poem sets none at all. So the socket is watched here:
//! a head that has begun is due in 5 s, and so is the first; between requests a caller may be silent for a minute.

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

/// Longest time for a request's head to arrive.
const HEAD_TIME: Duration = Duration::from_secs(5);
/// Longest silence between two requests, or while an answer is taken.
const IDLE_TIME: Duration = Duration::from_secs(60);
/// Longest time to work on a request, which has its own, shorter limits: this one is for faults of ours.
const WORK_TIME: Duration = Duration::from_secs(60);
/// Longest head of a request, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// Serves a connection until its end, a missed deadline, or, once `stop` is cancelled, the end of its request.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    app: Arc<BoxEndpoint<'static, Response>>,
    stop: CancellationToken,
) {
    let Ok(local) = socket.local_addr() else { return };
    let watch = Arc::new(Watch::new());
    let service = service_fn(|request: hyper::Request<Incoming>| {
        watch.enter(Phase::Work);
        let (app, watch) = (app.clone(), watch.clone());
        let addresses = (LocalAddr(local.into()), RemoteAddr(peer.into()));
        let request = Request::from((request, addresses.0, addresses.1, Scheme::HTTP));
        async move {
            let response = app.get_response(request).await;
            watch.enter(Phase::Idle);
            Ok::<_, std::convert::Infallible>(hyper::Response::from(response))
        }
    });
    let socket = Watched { socket, watch: watch.clone() };
    let mut connection = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(socket), service)
    );
    let mut stopping = pin!(stop.cancelled());
    let mut stopped = false;
    let mut deadline = pin!(sleep_until(watch.deadline()));
    poll_fn(|context| {
        if !stopped && stopping.as_mut().poll(context).is_ready() {
            stopped = true;
            connection.as_mut().graceful_shutdown();
        }
        // An error is the caller's: a reset, or bytes that are no HTTP.
        if connection.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let due = watch.deadline();
        if deadline.deadline() != due {
            deadline.as_mut().reset(due);
        }
        deadline.as_mut().poll(context)
    })
    .await;
}

/// What the caller, or we, are at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// A request's head is arriving, or the first one is awaited.
    Head,
    /// The app has the request.
    Work,
    /// The answer is on its way or taken; the next request may come.
    Idle,
}

/// The phase and when it must be over.
#[derive(Debug)]
struct Watch(Mutex<(Phase, Instant)>);

impl Watch {
    fn new() -> Self {
        Self(Mutex::new((Phase::Head, Instant::now() + HEAD_TIME)))
    }

    fn enter(&self, phase: Phase) {
        let time = match phase {
            Phase::Head => HEAD_TIME,
            Phase::Work => WORK_TIME,
            Phase::Idle => IDLE_TIME,
        };
        *self.state() = (phase, Instant::now() + time);
    }

    /// Bytes came in.
    fn read(&self) {
        // More bytes of a head earn no more time.
        if self.state().0 == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Bytes of an answer went out.
    fn written(&self) {
        if self.state().0 == Phase::Idle {
            self.enter(Phase::Idle);
        }
    }

    fn deadline(&self) -> Instant {
        self.state().1
    }

    fn state(&self) -> std::sync::MutexGuard<'_, (Phase, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket that tells its watch what passes.
struct Watched {
    socket: TcpStream,
    watch: Arc<Watch>,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.socket).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.watch.read();
        }
        polled
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, bytes);
        if polled.is_ready() {
            self.watch.written();
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
            self.watch.written();
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
