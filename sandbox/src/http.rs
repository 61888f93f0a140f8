//! The HTTP client side.

use reqwest::{Certificate, Client, redirect::Policy};

/// rustls needs to be told once which cryptography to use; whoever was first is right.
pub(crate) fn install_tls() {
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// A client for talking to the stand-ins and to the programs under test: it follows no redirects and
/// knows no proxy.
///
/// # Errors
/// When reqwest cannot set itself up.
pub fn client() -> reqwest::Result<Client> {
    install_tls();
    // reqwest refuses to build without any root certificate, even for plain http.
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|root| Certificate::from_der(root).ok());
    Client::builder().tls_certs_only(roots).redirect(Policy::none()).no_proxy().build()
}
