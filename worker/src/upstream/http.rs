//! One call to an upstream: what came back, or whether the request can have arrived.
//!
//! No redirects are followed, no proxy and no Referer is used, and no more than 256 KiB is read.

use std::{error::Error as _, fmt, time::Duration};

use outbox::redact;
use reqwest::{
    Certificate, Client, RequestBuilder,
    header::{HeaderMap, HeaderName},
    redirect,
};
use url::Url;

use crate::settings::is_loopback;

/// Longest body that is read: a real answer has about 2 KiB.
const LONGEST_BODY: usize = 256 * 1024;

/// Idle connections are given up before the other side does (usual proxies: 60 s and more): a request that
/// meets a closing connection has an unknown outcome.
const IDLE: Duration = Duration::from_secs(30);

/// What an upstream answered.
#[derive(Clone, Default)]
pub struct UpstreamResponse {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body: never logged or stored, only what is parsed out of it.
    pub body: Vec<u8>,
}

/// Status only: the body may hold a link.
impl fmt::Debug for UpstreamResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl UpstreamResponse {
    /// A header's text.
    #[must_use]
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }
}

/// Why there is no answer. The texts are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// No connection: nothing was sent.
    NotSent(String),
    /// The request may have been carried out.
    Lost(String),
}

/// What a call led to.
pub type CallResult = Result<UpstreamResponse, CallError>;

/// A client for one upstream.
///
/// # Errors
/// The TLS library refuses its settings.
pub fn client(upstream: &Url, timeout: Duration) -> reqwest::Result<Client> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(|root| Certificate::from_der(root))
        .collect::<Result<Vec<_>, _>>()?;
    Client::builder()
        .tls_certs_only(roots)
        .https_only(!is_loopback(upstream))
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        // A plain name: Supabase's gateway answers 401 to a secret key from what looks like a browser.
        .user_agent(concat!("magic-link-worker/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        // Less than the whole, so that a connection that cannot be made is told from an answer that does not come.
        .connect_timeout((timeout / 2).min(Duration::from_secs(5)))
        .pool_idle_timeout(IDLE)
        .build()
}

/// Sends a request and reads its answer to the end.
///
/// # Errors
/// [`CallError`].
pub async fn call(request: RequestBuilder) -> CallResult {
    let mut response = request.send().await.map_err(no_answer)?;
    let mut answer =
        UpstreamResponse { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new() };
    while let Some(chunk) = response.chunk().await.map_err(no_answer)? {
        if answer.body.len() + chunk.len() > LONGEST_BODY {
            return Err(CallError::Lost("its answer was longer than 256 KiB".to_owned()));
        }
        answer.body.extend_from_slice(&chunk);
    }
    Ok(answer)
}

fn no_answer(error: reqwest::Error) -> CallError {
    let not_sent = error.is_connect() || error.is_builder();
    let timed_out = error.is_timeout();
    // What an error says of itself is often only `error sending request`: the causes are behind it.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    match (not_sent, timed_out) {
        (true, _) => CallError::NotSent(redact(&text)),
        (false, true) => CallError::Lost("no answer came in time (UPSTREAM_TIMEOUT)".to_owned()),
        (false, false) => CallError::Lost(redact(&text)),
    }
}
