//! The layer that refuses requests over the IP limit, before their body is read.

use std::{num::NonZeroU32, sync::Arc};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderName, HeaderValue},
};

use super::limiter::{ClientNetwork, LimitExceeded, SCARCE_PRICE};
use crate::{
    admission::decide::AdmissionDecision,
    http::{
        body,
        error::{ErrorCode, ErrorResponse},
        paths,
        retry_after::RetryAfter,
    },
    state::AppState,
};

/// Lets a request to the endpoint through, whatever its method, or refuses it.
pub(crate) async fn limit<E: Endpoint>(
    door: Arc<AppState>,
    next: Arc<E>,
    mut request: Request,
) -> poem::Result<Response> {
    if request.uri().path() != paths::PATH {
        return Ok(next.call(request).await?.into_response());
    }
    let peer = request.remote_addr().as_socket_addr().map(|address| address.ip());
    let peer = peer.ok_or_else(|| poem::Error::from(ErrorResponse::internal()))?;
    let ip = door.ip_limit.proxies.client_ip(peer, request.headers());
    // The fuller the queue, the fewer people a flood from one place is to shut out.
    let price = if door.queue.room() == AdmissionDecision::Ample { NonZeroU32::MIN } else { SCARCE_PRICE };
    if let Err(over) = door.ip_limit.take(ip, price) {
        body::discard(request.take_body()).await;
        return Err(refusal(&over).into());
    }
    request.set_data(ClientNetwork::from(ip));
    Ok(next.call(request).await?.into_response())
}

/// 429 with the two headers of the IETF's draft (draft-ietf-httpapi-ratelimit-headers).
fn refusal(over: &LimitExceeded) -> ErrorResponse {
    let wait = RetryAfter::from(over.wait);
    let policy = format!("\"ip\";q={};w={}", over.quota.limit, over.quota.window.as_secs());
    let limit = format!("\"ip\";r=0;t={}", wait.seconds());
    let mut refusal = limited(wait);
    for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            refusal = refusal.with(HeaderName::from_static(name), value);
        }
    }
    refusal
}

/// 429.
pub(crate) fn limited(wait: RetryAfter) -> ErrorResponse {
    let message = "Too many requests from your network. Wait a moment and try again.";
    ErrorResponse::limited(ErrorCode::IpRateLimited, message, wait)
}
