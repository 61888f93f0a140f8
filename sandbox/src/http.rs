//! The HTTP client for tests.

use reqwest::{Certificate, Client, redirect::Policy};

/// Sets rustls's process-wide cryptography provider, unless one is already set.
pub(crate) fn install_tls() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// A client for the stand-ins and for the programs under test. It follows no redirects and uses no proxy.
///
/// # Errors
/// reqwest cannot build the client.
pub fn client() -> reqwest::Result<Client> {
    install_tls();
    // reqwest cannot build a client without root certificates, even for plain HTTP.
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| Certificate::from_der(root).ok());
    Client::builder().tls_certs_only(roots).redirect(Policy::none()).no_proxy().build()
}
