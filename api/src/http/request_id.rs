//! A request's name, from the browser to the mail: `X-Request-Id` and W3C `traceparent`, in every log line of the
//! request, in its job, and in the answer. And the one line that tells how it was answered.

use std::{sync::Arc, time::Instant};

use poem::{
    Endpoint, IntoResponse, Request, Response,
    http::{HeaderName, HeaderValue},
};
use tracing::Instrument as _;
use uuid::Uuid;

use super::{error::ErrorCode, paths, single_header::single};
use crate::metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a request is called.
#[derive(Debug, Clone)]
pub(crate) struct RequestContext {
    /// The caller's own `X-Request-Id`, or a fresh one: 1 to 64 of `A-Za-z0-9._-`.
    pub(crate) id: String,
    /// The caller's `traceparent`, if it is valid.
    pub(crate) traceparent: Option<String>,
}

impl RequestContext {
    fn of(request: &Request) -> Self {
        let id = single(request.headers(), &REQUEST_ID).filter(|id| is_id(id));
        let traceparent = single(request.headers(), &TRACEPARENT).filter(|text| is_traceparent(text));
        Self {
            id: id.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned),
            traceparent: traceparent.map(str::to_owned),
        }
    }
}

fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Version 00 of <https://www.w3.org/TR/trace-context/#traceparent-header>.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let hex = |text: &str, length| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let set = |text: &str| text.bytes().any(|b| b != b'0');
    matches!(parts.as_slice(), ["00", trace, parent, flags]
        if hex(trace, 32) && set(trace) && hex(parent, 16) && set(parent) && hex(flags, 2))
}

/// Names the request, answers it within a span of that name, and logs how.
pub(crate) async fn name<E: Endpoint>(next: Arc<E>, mut request: Request) -> poem::Result<Response> {
    let name = RequestContext::of(&request);
    let span = tracing::info_span!("request", request_id = %name.id, traceparent = name.traceparent);
    let header = HeaderValue::from_str(&name.id);
    let at_endpoint = request.uri().path() == paths::PATH;
    let method = request.method().clone();
    let begun = Instant::now();
    request.set_data(name);
    async {
        let mut response = next.call(request).await?.into_response();
        if let Ok(header) = header {
            response.headers_mut().insert(REQUEST_ID, header);
        }
        if at_endpoint {
            let code = response.data::<ErrorCode>().map_or_else(|| "ok".to_owned(), |code| code.name());
            let status = response.status().as_u16();
            let ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            // The recipient is not named: who may read logs need not know who signs in.
            tracing::info!(%method, status, code, ms, "answered");
            metrics::count_answer(status, code);
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
    fn an_id_is_short_and_plain() {
        for (text, good) in [("a", true), ("A-z_0.9", true), ("", false), ("a b", false), ("a\"", false), ("ä", false)]
        {
            assert_eq!(is_id(text), good, "{text}");
        }
        assert!(is_id(&"a".repeat(64)) && !is_id(&"a".repeat(65)));
    }

    #[test]
    fn a_traceparent_is_valid_or_ignored() {
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
