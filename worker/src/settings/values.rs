//! Parsers of single values. Their error messages are for the person who wrote the setting, and never contain a secret.

use std::net::IpAddr;

use outbox::Email;
use secrecy::SecretString;
use url::{Host, Url};

/// Parses the base URL of an upstream. The URL must use https, or http on this machine, because keys and links are sent to it.
/// The result ends with `/`, so that paths can be joined to it.
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
    if path.ends_with("/auth/v1") || path.ends_with("/v3") {
        return Err(format!("must not end with {path}: that is added"));
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
        return Err(format!("`{}` is more than an origin", text.trim()));
    }
    Ok(url.origin().ascii_serialization())
}

/// Parses a sending domain. Rejects a slash, because Mailgun would then respond with 200 without sending anything.
pub(super) fn mailgun_domain(text: &str) -> Result<String, String> {
    let domain = text.trim().to_ascii_lowercase();
    let plain = domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    if domain.contains('.') && plain && !domain.starts_with('.') && !domain.ends_with('.') {
        return Ok(domain);
    }
    Err(format!("`{domain}` is not a domain"))
}

/// Parses a sender: `Name <address>` or just an address. The mail shows the sender unchanged, except for a domain that is not
/// ASCII, which the worker sends to Mailgun as punycode.
pub(super) fn mail_from(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err("contains a control character".to_owned());
    }
    let (name, address, end) = match text.find('<') {
        None => ("", text, ""),
        Some(at) => {
            let name = text[..at].trim();
            let quoted = name.len() > 1 && name.starts_with('"') && name.ends_with('"');
            let inner = if quoted { &name[1..name.len() - 1] } else { name };
            // Mailgun splits addresses at commas, and a quote or a bracket would end the name early (RFC 5322 §3.4).
            if inner.contains(['"', '\\', '<', '>']) || (!quoted && inner.contains([',', ';', ':', '@', '(', ')'])) {
                return Err("contains a name that must be in double quotes".to_owned());
            }
            (&text[..=at], text[at + 1..].strip_suffix('>').ok_or("has no closing `>`")?, ">")
        }
    };
    let email = Email::parse(address).map_err(|error| format!("`{address}` is not an address: {error}"))?;
    let address = if address.is_ascii() { address } else { email.as_str() };
    Ok(format!("{name}{address}{end}"))
}

/// Parses a key that is sent in a header. It must be visible ASCII.
pub(super) fn header_secret(text: &str) -> Result<SecretString, &'static str> {
    let key = text.trim();
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(key.into())
    } else {
        Err("contains a character that no key can have")
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
    fn a_sender_is_one_address_with_or_without_a_name() {
        for text in [
            "no-reply@mg.example.com",
            "Portal <no-reply@mg.example.com>",
            "Größe & Söhne <a@example.com>",
            "\"Acme, Inc.\" <a@example.com>",
        ] {
            assert_eq!(mail_from(text), Ok(text.to_owned()));
        }
        assert_eq!(mail_from("Müller <Info@müller.example>"), Ok("Müller <info@xn--mller-kva.example>".to_owned()));
        for text in [
            "",
            "Portal",
            "Portal <>",
            "Portal <a@b.c",
            "A, B <a@b.c>",
            "a@b.c, d@e.f",
            "A\r\nBcc: x@y.z <a@b.c>",
            "a@b.c <d@e.f>",
            "Portal <a@b>",
            "<grüße@example.com>",
        ] {
            assert!(mail_from(text).is_err(), "{text}");
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
