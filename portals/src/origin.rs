//! A web origin that is valid by construction: https, or http on a loopback host.

use url::{Host, Url};

/// Maximum length of an origin in bytes. A scheme, a host name of 253 bytes and a port need about half of that.
pub const MAX_ORIGIN_BYTES: usize = 512;

/// An origin such as `https://portal.example.com`, serialised as in the WHATWG URL standard: in lower case, without a
/// default port or a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// `https`, or `http` on a loopback host.
    pub scheme: String,
    /// The host.
    pub host: Host,
    /// The port. `None` for the scheme's default port.
    pub port: Option<u16>,
    text: String,
}

impl Origin {
    /// Parses an origin in the form that an `Origin` header contains. One trailing slash is allowed. Returns `None` for
    /// any other text, and for http unless the host is a loopback host.
    pub fn parse(text: &str) -> Option<Self> {
        // The WHATWG parser removes spaces and line breaks and treats `\` as `/`. Reject such input instead.
        let is_plain = text.len() <= MAX_ORIGIN_BYTES && text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
        let (scheme, rest) = text.split_once("://")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let is_http = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        if !is_plain || !is_http || authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return None;
        }
        Self::from_url(&Url::parse(text).ok()?)
    }

    /// Returns the origin of a URL, which may have any path, query and user. Returns `None` unless the scheme is https,
    /// or http on a loopback host.
    pub fn from_url(url: &Url) -> Option<Self> {
        let host = url.host()?.to_owned();
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&host)) {
            return None;
        }
        let text = url.origin().ascii_serialization();
        Some(Self { scheme: url.scheme().to_owned(), host, port: url.port(), text })
    }

    /// The serialised origin.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_origin_is_parsed() {
        for (text, expected) in [
            ("https://portal.example.com", "https://portal.example.com"),
            ("https://portal.example.com/", "https://portal.example.com"),
            ("HTTPS://Portal.Example.COM:443", "https://portal.example.com"),
            ("https://portal.example.com:8443", "https://portal.example.com:8443"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("http://127.0.0.9", "http://127.0.0.9"),
            ("http://[::1]:80/", "http://[::1]"),
        ] {
            assert_eq!(Origin::parse(text).map(|origin| origin.text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "null",
            "https://",
            "https:///",
            "portal.example.com",
            "//portal.example.com",
            "https:portal.example.com",
            "https:/portal.example.com",
            "https://portal.example.com//",
            "https://portal.example.com/x",
            "https://portal.example.com?",
            "https://portal.example.com#",
            "https://portal.example.com/?",
            "https://user@portal.example.com",
            "https://user:pw@portal.example.com",
            "https://@portal.example.com",
            "https://portal.example.com\\",
            "https:\\\\portal.example.com",
            " https://portal.example.com",
            "https://portal.example.com ",
            "https://portal.exam\tple.com",
            "https://portal.example.com\n",
            "http://portal.example.com",
            "ftp://portal.example.com",
            "javascript://portal.example.com",
            "file:///portal.example.com",
            "https://por tal.example.com",
            "https://portal.example.com:99999",
            "https://портал.example",
            "https://portal.example.com\u{3002}evil.example",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
    }
}
