//! Request id and trace context: the values of `X-Request-Id` and W3C `traceparent` are in every log line of a request
//! and in its job, and the response contains the request id. For the send-magic-link endpoint, the layer also writes
//! the access log line.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderName, HeaderValue},
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{error::ErrorCode, paths, single_header::single_header};
use crate::metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Identifies a request in logs, in its job, and in the caller's traces.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The caller's `X-Request-Id` if it consists of 1 to 64 characters from `A-Za-z0-9._-`, otherwise a new UUIDv7.
    pub(crate) id: String,
    /// The caller's `traceparent`, or `None` if it is missing or invalid.
    pub(crate) traceparent: Option<String>,
}

/// Attached to the response to an accepted request: the id of the portal, or `None` if `PORTALS_FILE` is not set.
#[derive(Debug, Clone)]
pub(crate) struct AcceptedPortal(pub(crate) Option<String>);

impl RequestContext {
    fn from_request(request: &Request) -> Self {
        let id = single_header(request.headers(), &REQUEST_ID).filter(|id| is_request_id(id));
        let traceparent = single_header(request.headers(), &TRACEPARENT).filter(|text| is_traceparent(text));
        Self {
            id: id.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned),
            traceparent: traceparent.map(str::to_owned),
        }
    }
}

fn is_request_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Whether `text` is a valid `traceparent` of version 00: <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_not_zero = |text: &str| text.bytes().any(|b| b != b'0');
    matches!(parts.as_slice(), ["00", trace, parent, flags]
        if is_hex(trace, 32) && is_not_zero(trace) && is_hex(parent, 16) && is_not_zero(parent) && is_hex(flags, 2))
}

/// Layer that assigns the request its [`RequestContext`], runs the inner layers in a span, and adds the request id to
/// the response. Responses of the send-magic-link endpoint are also logged and counted.
pub(crate) async fn trace_request<E: Endpoint>(next: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let context = RequestContext::from_request(&request);
    let span = tracing::info_span!("request", request_id = %context.id, traceparent = context.traceparent);
    let header = HeaderValue::from_str(&context.id);
    let is_send_magic_link = request.uri().path() == paths::SEND_MAGIC_LINK_PATH;
    let method = request.method().clone();
    let started = Instant::now();
    request.set_data(context);
    async {
        let mut response = next.call(request).await?.into_response();
        if let Ok(header) = header {
            response.headers_mut().insert(REQUEST_ID, header);
        }
        if is_send_magic_link {
            let code = response.data::<ErrorCode>().map_or_else(|| "ok".to_owned(), |code| code.name());
            let status = response.status().as_u16();
            let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Do not log the recipient: not everyone who can read the logs is allowed to know who signs in.
            let accepted = response.data::<AcceptedPortal>().map(|AcceptedPortal(portal)| portal.as_deref());
            tracing::info!(%method, status, code, portal = accepted.flatten(), duration_ms, "request answered");
            match accepted {
                Some(portal) => metrics::count_accepted(status, code, portal),
                None => metrics::count_response(status, code),
            }
        }
        Ok(response)
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_id_has_1_to_64_allowed_characters() {
        for (text, good) in [("a", true), ("A-z_0.9", true), ("", false), ("a b", false), ("a\"", false), ("ä", false)]
        {
            assert_eq!(is_request_id(text), good, "{text}");
        }
        assert!(is_request_id(&"a".repeat(64)) && !is_request_id(&"a".repeat(65)));
    }

    #[test]
    fn only_a_complete_traceparent_of_version_00_is_valid() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(valid));
        for text in [
            "",
            "00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }
}
