//! Makes one HTTP call to an upstream. Returns the response, or an error that shows whether the request may have
//! arrived.
//!
//! The client does not follow redirects, sends no `Referer` header, and reads at most 256 KiB of a response.

use std::{error::Error as _, fmt, time::Duration};

use outbox::redact;
use reqwest::{
    Certificate, Client, RequestBuilder,
    header::{HeaderMap, HeaderName},
    redirect,
};
use url::Url;

use crate::settings::{ConnectionSettings, is_loopback};

/// Maximum size of a response body. Real responses are about 2 KiB long.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Time after which idle connections are closed. It is shorter than the timeout of the other side (proxies usually wait
/// 60 s or more). If the other side closes a connection just as a request is sent, the outcome of the request is
/// unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// An upstream's response.
#[derive(Clone, Default)]
pub struct UpstreamResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. Never log or store the body itself, only parsed fields: it may contain a sign-in link.
    pub body: Vec<u8>,
}

/// Shows only the status, because the body may contain a sign-in link.
impl fmt::Debug for UpstreamResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl UpstreamResponse {
    /// The value of a header. `None` if the header is missing or not visible ASCII.
    #[must_use]
    pub fn header(&self, name: impl Into<HeaderName>) -> Option<&str> {
        self.headers.get(name.into())?.to_str().ok()
    }
}

/// Why a call got no response. The messages are redacted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The request was not sent: it could not be built, or no connection could be opened.
    NotSent(String),
    /// The request was sent and may have taken effect, but no usable response arrived.
    ResponseLost(String),
}

/// The result of [`call`].
pub type CallResult = Result<UpstreamResponse, CallError>;

/// Creates a client for one upstream. `timeout` limits a whole call, including reading the body.
///
/// # Errors
/// A trusted certificate or the proxy's URL is invalid, or the TLS library rejects the configuration.
pub fn client(upstream: &Url, connection: &ConnectionSettings, timeout: Duration) -> reqwest::Result<Client> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .chain(&connection.extra_roots)
        .map(|root| Certificate::from_der(root))
        .collect::<Result<Vec<_>, _>>()?;
    // Without `no_proxy`, reqwest would apply its own rules to find a proxy in the environment.
    let builder = Client::builder().no_proxy();
    let builder = match &connection.proxy {
        Some(proxy) => builder.proxy(proxy.to_reqwest()?),
        None => builder,
    };
    builder
        .tls_certs_only(roots)
        .https_only(!is_loopback(upstream))
        .redirect(redirect::Policy::none())
        .referer(false)
        // Supabase's gateway responds with 401 to a secret key that is sent with a browser's user agent.
        .user_agent(concat!("magic-link-worker/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        // Shorter than the whole timeout, to distinguish a failed connection from a missing response.
        .connect_timeout((timeout / 2).min(Duration::from_secs(5)))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build()
}

/// Sends a request and reads the whole response. A status of 4xx or 5xx is not an error here.
///
/// # Errors
/// [`CallError`] if there is no complete response, or if the body is longer than 256 KiB.
pub async fn call(request: RequestBuilder) -> CallResult {
    let mut incoming = request.send().await.map_err(call_error)?;
    let mut response =
        UpstreamResponse { status: incoming.status().as_u16(), headers: incoming.headers().clone(), body: Vec::new() };
    while let Some(chunk) = incoming.chunk().await.map_err(call_error)? {
        if response.body.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(CallError::ResponseLost("the response is longer than 256 KiB".to_owned()));
        }
        response.body.extend_from_slice(&chunk);
    }
    Ok(response)
}

fn call_error(error: reqwest::Error) -> CallError {
    let is_not_sent = error.is_connect() || error.is_builder();
    let is_timeout = error.is_timeout();
    // The message of the error itself is often only `error sending request`, so add the messages of its sources.
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    match (is_not_sent, is_timeout) {
        (true, _) => CallError::NotSent(redact(&text)),
        (false, true) => CallError::ResponseLost("no response within UPSTREAM_TIMEOUT".to_owned()),
        (false, false) => CallError::ResponseLost(redact(&text)),
    }
}
