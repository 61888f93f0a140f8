//! Takes in a request's body before anything looks at it: bounded in size and time.
//!
//! It is read even where nobody wants it (an unknown path, a wrong method): an answer on top of unread bytes
//! resets the connection, and the caller never sees it.

use std::{sync::Arc, time::Duration};

use hyper::body::Bytes;
use poem::{Body, Endpoint, IntoResponse, Request, Response};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, copy, sink},
    time::timeout,
};

use super::paths;

/// Most bytes of a person's request: sixty times the longest sensible one.
const MAX_BYTES: u64 = 16 * 1024;
/// Most bytes of a webhook, in which a remote server's words may be long.
const MAX_WEBHOOK_BYTES: u64 = 256 * 1024;
/// Most bytes that are read past the limit, so that the refusal is seen.
const MAX_DISCARDED: u64 = 256 * 1024;
/// Longest time for a body to arrive.
const READ_TIME: Duration = Duration::from_secs(10);
/// Longest time to wait for the rest of a body that nobody will look at.
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// What came of reading the body.
#[derive(Clone)]
pub(crate) enum ReceivedBody {
    /// All of it.
    Whole(Bytes),
    /// More than [`max_bytes`].
    TooLarge,
    /// Not all of it arrived in time.
    Late,
}

/// Most bytes of a body that is posted to this path.
pub(crate) fn max_bytes(path: &str) -> u64 {
    if path == paths::WEBHOOK_PATH { MAX_WEBHOOK_BYTES } else { MAX_BYTES }
}

/// Reads the body, and leaves what came of it with the request.
pub(crate) async fn receive<E: Endpoint>(next: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let mut body = request.take_body().into_async_read();
    let received =
        timeout(READ_TIME, read(&mut body, max_bytes(request.uri().path()))).await.unwrap_or(ReceivedBody::Late);
    if matches!(received, ReceivedBody::TooLarge) {
        discard_rest(&mut body).await;
    }
    request.set_data(received);
    Ok(next.call(request).await?.into_response())
}

async fn read(body: &mut (impl AsyncRead + Unpin), most: u64) -> ReceivedBody {
    let mut bytes = Vec::new();
    match body.take(most + 1).read_to_end(&mut bytes).await {
        Ok(length) if length as u64 > most => ReceivedBody::TooLarge,
        Ok(_) => ReceivedBody::Whole(bytes.into()),
        // Broken off, or chunks that are none: the rest will never come.
        Err(_) => ReceivedBody::Late,
    }
}

/// Reads a body for the sake of the connection alone.
pub(crate) async fn discard(body: Body) {
    discard_rest(&mut body.into_async_read()).await;
}

async fn discard_rest(body: &mut (impl AsyncRead + Unpin)) {
    let mut rest = body.take(MAX_DISCARDED);
    // Whatever comes of it, the answer is the same.
    timeout(DISCARD_TIME, copy(&mut rest, &mut sink())).await.ok();
}
