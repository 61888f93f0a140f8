//! Layer that rejects requests above the IP rate limit before their body is read. The headers of a 200 response contain
//! the remaining quota.

use std::{num::NonZeroU32, sync::Arc};

use callers::ClientNetwork;
use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderName, HeaderValue, StatusCode},
};

use super::limiter::{IpRateLimiter, PRESSURE_COST, QuotaState};
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
    // While the queue is under pressure or full, a request costs more tokens, so that each network can add fewer jobs
    // to the queue.
    let cost = if queue.decide() == AdmissionDecision::Accept { NonZeroU32::MIN } else { PRESSURE_COST };
    match limiter.take(client_ip, cost) {
        Ok(left) => {
            request.set_data(ClientNetwork::from(client_ip));
            let mut response = next.call(request).await?.into_response();
            if response.status() == StatusCode::OK {
                response.headers_mut().extend(headers(&left));
            }
            Ok(response)
        }
        Err(exceeded) => {
            limiter.note_limited(client_ip, peer);
            body::discard(request.take_body()).await;
            Err(too_many_requests(&exceeded).into())
        }
    }
}

fn too_many_requests(exceeded: &QuotaState) -> ErrorResponse {
    let response = ip_rate_limited(exceeded.until_more.into());
    headers(exceeded).into_iter().fold(response, |response, (name, value)| response.with_header(name, value))
}

/// Returns the `RateLimit-Policy` and `RateLimit` headers (draft-ietf-httpapi-ratelimit-headers).
fn headers(state: &QuotaState) -> Vec<(HeaderName, HeaderValue)> {
    let policy = format!("\"ip\";q={};w={}", state.quota.limit, state.quota.window.as_secs());
    let limit = format!("\"ip\";r={};t={}", state.remaining, RetryAfter::from(state.until_more).seconds());
    let header = |(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?));
    [("ratelimit-policy", policy), ("ratelimit", limit)].into_iter().filter_map(header).collect()
}

/// 429 with a `Retry-After` header.
pub(crate) fn ip_rate_limited(retry_after: RetryAfter) -> ErrorResponse {
    let message = "Too many requests from your network. Wait a moment and try again.";
    ErrorResponse::rate_limited(ErrorCode::IpRateLimited, message, retry_after)
}
