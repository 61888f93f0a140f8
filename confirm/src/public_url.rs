//! `PUBLIC_URL`: the address at which browsers reach the api.

use std::str::FromStr;

use url::{Host, Url};

/// The path of the confirm page, below [`PublicUrl`].
pub const CONFIRM_PATH: &str = "/auth/confirm/";

/// An https address, or http on a loopback host, without query, fragment or user. It has a path if a proxy serves the
/// api below that path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    /// The address, without a slash at the end.
    text: String,
    origin: String,
    host: Host,
}

impl PublicUrl {
    /// The address of the confirm page for a payload.
    #[must_use]
    pub fn confirm_link(&self, payload: &str) -> String {
        format!("{}{CONFIRM_PATH}{payload}", self.text)
    }

    /// The origin, as browsers send it in the `Origin` header.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether `host` and this address belong to the same registrable domain (<https://publicsuffix.org>), such as
    /// `example.com`. People and mail filters distrust a mail from one domain that links to another. Also true if
    /// either host is not a public name, such as `localhost` or an IP address.
    #[must_use]
    pub fn shares_domain_with(&self, host: &str) -> bool {
        let host = Host::parse(host);
        match (&self.host, &host) {
            (Host::Domain(own), Ok(Host::Domain(other))) => match (psl::domain_str(own), psl::domain_str(other)) {
                (Some(own), Some(other)) => own == other,
                _ => true,
            },
            _ => true,
        }
    }

    /// The address without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|_| format!("`{text}` is not a URL"))?;
        let host = url.host().ok_or_else(|| format!("`{text}` has no host"))?.to_owned();
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&host)) {
            return Err(format!("`{text}` does not begin with https:// (http is allowed only for loopback)"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("`{text}` has a query or a fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user name or a password".to_owned());
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { text, origin: url.origin().ascii_serialization(), host })
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
    fn a_public_url_is_https_or_loopback_and_has_no_query_fragment_or_user() {
        for (text, link, origin) in [
            ("https://login.example.com", "https://login.example.com/auth/confirm/W", "https://login.example.com"),
            ("https://login.example.com/", "https://login.example.com/auth/confirm/W", "https://login.example.com"),
            (
                "HTTPS://Login.example.com:443/a/",
                "https://login.example.com/a/auth/confirm/W",
                "https://login.example.com",
            ),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/auth/confirm/W", "http://127.0.0.1:8080"),
            ("http://localhost:8080", "http://localhost:8080/auth/confirm/W", "http://localhost:8080"),
        ] {
            let url: PublicUrl = text.parse().unwrap();
            assert_eq!((url.confirm_link("W").as_str(), url.origin()), (link, origin));
        }
        for text in [
            "",
            "login.example.com",
            "http://login.example.com",
            "ftp://login.example.com",
            "https://login.example.com/?a=b",
            "https://login.example.com?",
            "https://login.example.com/#a",
            "https://user:secret@login.example.com",
        ] {
            let error = text.parse::<PublicUrl>().unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn hosts_share_a_domain_if_their_registrable_domain_is_the_same() {
        for (url, host, shares) in [
            ("https://login.example.com", "example.com", true),
            ("https://login.example.com", "portal.EXAMPLE.com", true),
            ("https://login.example.com", "mg.example.org", false),
            ("https://login.example.com", "notexample.com", false),
            ("https://a.example.co.uk", "b.example.co.uk", true),
            ("https://a.example.co.uk", "example2.co.uk", false),
            // Anybody can register a name under github.io.
            ("https://ann.github.io", "bob.github.io", false),
            ("https://login.xn--bcher-kva.example", "bücher.example", true),
            ("http://127.0.0.1:8080", "example.com", true),
            ("http://localhost:8080", "example.com", true),
            ("https://login.example.com", "localhost", true),
            ("https://login.example.com", "127.0.0.1", true),
        ] {
            assert_eq!(url.parse::<PublicUrl>().unwrap().shares_domain_with(host), shares, "{url} {host}");
        }
    }
}
