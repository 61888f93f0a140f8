//! Layer that rejects requests above the IP rate limit, before their body is read.

use std::{num::NonZeroU32, sync::Arc};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderName, HeaderValue},
};

use super::limiter::{ClientNetwork, IpRateLimiter, LimitExceeded, PRESSURE_COST};
use crate::{
    admission::{decide::AdmissionDecision, queue_monitor::QueueMonitor},
    http::{
        body,
        error::{ErrorCode, ErrorResponse},
        paths,
        retry_after::RetryAfter,
    },
};

/// Limits requests to the send-magic-link endpoint, whatever their method, and stores the caller's [`ClientNetwork`] in
/// the request's data. Other paths are not limited.
pub(crate) async fn limit_requests<E: Endpoint>(
    limiter: Arc<IpRateLimiter>,
    queue: Arc<QueueMonitor>,
    next: Arc<E>,
    mut request: Request,
) -> poem::Result<Response> {
    if request.uri().path() != paths::SEND_MAGIC_LINK_PATH {
        return Ok(next.call(request).await?.into_response());
    }
    let peer = request.remote_addr().as_socket_addr().map(|address| address.ip());
    let peer = peer.ok_or_else(|| poem::Error::from(ErrorResponse::internal()))?;
    let client_ip = limiter.client_ip(peer, request.headers());
    // A flood from one network should not fill the queue for everybody else.
    let cost = if queue.decide() == AdmissionDecision::Accept { NonZeroU32::MIN } else { PRESSURE_COST };
    if let Err(exceeded) = limiter.take(client_ip, cost) {
        limiter.note_limited(client_ip, peer);
        body::discard(request.take_body()).await;
        return Err(too_many_requests(&exceeded).into());
    }
    request.set_data(ClientNetwork::from(client_ip));
    Ok(next.call(request).await?.into_response())
}

/// 429 with the headers `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
fn too_many_requests(exceeded: &LimitExceeded) -> ErrorResponse {
    let retry_after = RetryAfter::from(exceeded.wait);
    let policy = format!("\"ip\";q={};w={}", exceeded.quota.limit, exceeded.quota.window.as_secs());
    let limit = format!("\"ip\";r=0;t={}", retry_after.seconds());
    let mut response = ip_rate_limited(retry_after);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response = response.with_header(HeaderName::from_static(name), value);
        }
    }
    response
}

/// 429 with `Retry-After`.
pub(crate) fn ip_rate_limited(retry_after: RetryAfter) -> ErrorResponse {
    let message = "Too many requests from your network. Wait a moment and try again.";
    ErrorResponse::rate_limited(ErrorCode::IpRateLimited, message, retry_after)
}
