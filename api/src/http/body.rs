//! Reads the request body before any handler runs, with a limit on size and time.
//!
//! Bodies are read even when no handler needs them (unknown path, wrong method). A connection that is closed while
//! request bytes are still unread is reset, and the caller might then never see the response.

use std::{sync::Arc, time::Duration};

use hyper::body::Bytes;
use poem::{Body, Endpoint, IntoResponse, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, copy, sink},
    time::timeout,
};

use super::paths;

/// Maximum body size in bytes, except for webhooks. This is several times the size of the longest valid request.
const MAX_BYTES: u64 = 16 * 1024;
/// Maximum size of a webhook body in bytes. Events quote remote mail servers' responses, which can be long.
const MAX_WEBHOOK_BYTES: u64 = 256 * 1024;
/// Maximum number of bytes to read and discard from a body that is too large or not needed, so that the caller can read
/// the error response.
const MAX_DISCARDED_BYTES: u64 = 256 * 1024;
/// Time limit for the whole body to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit for discarding the rest of a body.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(1);

/// The result of reading the body. [`read_body`] stores it in the request's data.
#[derive(Clone)]
pub(crate) enum ReceivedBody {
    Complete(Bytes),
    /// The body is larger than [`max_bytes`].
    TooLarge,
    /// The body did not arrive in full within 10 seconds, the connection broke, or a chunk is malformed.
    Incomplete,
}

/// Maximum size in bytes of a body posted to `path`.
pub(crate) fn max_bytes(path: &str) -> u64 {
    if path == paths::WEBHOOK_PATH { MAX_WEBHOOK_BYTES } else { MAX_BYTES }
}

/// Layer that reads the body and stores it as [`ReceivedBody`]. It never rejects a request itself.
pub(crate) async fn read_body<E: Endpoint>(next: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let mut body = request.take_body().into_async_read();
    let max = max_bytes(request.uri().path());
    let received = timeout(READ_TIMEOUT, read_up_to(&mut body, max)).await.unwrap_or(ReceivedBody::Incomplete);
    if matches!(received, ReceivedBody::TooLarge) {
        discard_rest(&mut body).await;
    }
    request.set_data(received);
    Ok(next.call(request).await?.into_response())
}

async fn read_up_to(body: &mut (impl AsyncRead + Unpin), max: u64) -> ReceivedBody {
    let mut bytes = Vec::new();
    match body.take(max + 1).read_to_end(&mut bytes).await {
        Ok(length) if length as u64 > max => ReceivedBody::TooLarge,
        Ok(_) => ReceivedBody::Complete(bytes.into()),
        // The connection broke, or a chunk is malformed. The rest of the body will never arrive.
        Err(_) => ReceivedBody::Incomplete,
    }
}

/// Reads and discards a body that is not needed, so that the response is not lost to a connection reset.
pub(crate) async fn discard(body: Body) {
    discard_rest(&mut body.into_async_read()).await;
}

async fn discard_rest(body: &mut (impl AsyncRead + Unpin)) {
    let mut rest = body.take(MAX_DISCARDED_BYTES);
    // Ignore errors and timeouts: the response does not depend on them.
    timeout(DISCARD_TIMEOUT, copy(&mut rest, &mut sink())).await.ok();
}
