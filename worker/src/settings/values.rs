//! Parsers for single values. Their error messages are for the person who wrote the setting, and never contain a
//! secret.

use std::net::IpAddr;

use secrecy::SecretString;
use url::{Host, Url};

/// Parses the base URL of an upstream. The URL must use https, or http on this machine, because keys and links are sent
/// to it. The result ends with `/`, so that paths can be joined to it.
pub(super) fn upstream_url(text: &str) -> Result<Url, String> {
    let text = text.trim();
    let mut url = Url::parse(text).map_err(|_| format!("`{text}` is not a URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err("must begin with https:// (http:// only on this machine)".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must be a plain URL: no user, no query, no fragment".to_owned());
    }
    let path = url.path().trim_end_matches('/').to_owned();
    if let Some(end) = ["/auth/v1", "/v3"].into_iter().find(|end| path.ends_with(*end)) {
        return Err(format!("must not end with {end}: the worker adds this path"));
    }
    url.set_path(&format!("{path}/"));
    Ok(url)
}

/// Whether a URL points to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    }
}

/// Parses an origin, and serialises it in the form in which origins are compared.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let url = upstream_url(text)?;
    if url.path() != "/" {
        return Err(format!("`{}` is not an origin: it must not contain a path", text.trim()));
    }
    Ok(url.origin().ascii_serialization())
}

/// Parses a sending domain. Rejects a domain with a slash, because Mailgun would respond with 200 without sending
/// anything.
pub(super) fn mailgun_domain(text: &str) -> Result<String, String> {
    let domain = text.trim().to_ascii_lowercase();
    let plain = domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    if domain.contains('.') && plain && !domain.starts_with('.') && !domain.ends_with('.') {
        return Ok(domain);
    }
    Err(format!("`{domain}` is not a domain"))
}

/// Parses a key that is sent in a header. The key must consist of visible ASCII characters.
pub(super) fn header_secret(text: &str) -> Result<SecretString, &'static str> {
    let key = text.trim();
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(key.into())
    } else {
        Err("contains a character that is not allowed in a key, such as a space")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_url_must_be_https_or_on_this_machine() {
        for (text, url) in [
            ("https://abc.supabase.co", "https://abc.supabase.co/"),
            (" https://abc.supabase.co/ ", "https://abc.supabase.co/"),
            ("https://example.com/supabase", "https://example.com/supabase/"),
            ("http://127.0.0.1:9999", "http://127.0.0.1:9999/"),
            ("http://[::1]:9999", "http://[::1]:9999/"),
            ("http://localhost:9999", "http://localhost:9999/"),
        ] {
            assert_eq!(upstream_url(text).map(String::from), Ok(url.to_owned()), "{text}");
        }
        for text in [
            "",
            "abc.supabase.co",
            "http://abc.supabase.co",
            "http://localhost.example.com",
            "ftp://127.0.0.1",
            "https://user:secret@example.com",
            "https://abc.supabase.co/auth/v1",
            "https://api.mailgun.net/v3",
            "https://example.com/?a=b",
            "https://example.com/#a",
        ] {
            assert!(upstream_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_domain_has_no_path() {
        assert_eq!(mailgun_domain(" MG.example.com "), Ok("mg.example.com".to_owned()));
        for text in ["", "localhost", "mg.example.com/", "mg.example.com/messages", ".com", "a b.com"] {
            assert!(mailgun_domain(text).is_err(), "{text}");
        }
    }
}
