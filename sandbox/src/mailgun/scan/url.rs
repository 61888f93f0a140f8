//! Finds the URLs in a mail, and determines which of them are on this machine. The scanner requests no other URLs.

use url::{Host, Url};

use super::super::mail::{Mail, urls};
use crate::html::unescape;

/// Returns the URLs in the mail's text and HTML, without duplicates.
pub(super) fn all(mail: &Mail) -> Vec<String> {
    let in_html = urls(&mail.html).map(unescape);
    let mut all: Vec<String> = vec![];
    for url in urls(&mail.text).map(str::to_owned).chain(in_html) {
        if !all.contains(&url) {
            all.push(url);
        }
    }
    all
}

/// Returns the mail's first URL that points to this machine.
pub(super) fn first_here(mail: &Mail) -> Option<String> {
    all(mail).into_iter().find(|url| Url::parse(url).is_ok_and(|url| is_here(&url)))
}

/// Whether the URL points to a loopback address. `localhost` is the only accepted name, because other names may resolve
/// to another machine.
pub(super) fn is_here(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_urls_are_on_this_machine() {
        for (url, here) in [
            ("http://localhost:8080/x", true),
            ("http://LOCALHOST/x", true),
            ("https://127.0.0.1/x", true),
            ("http://127.1/x", true),
            ("http://[::1]:8080/x", true),
            ("http://example.com/x", false),
            ("http://localhost.example.com/", false),
            ("http://portal.localhost/", false),
            ("http://127.0.0.1@example.com/", false),
            ("http://127.0.0.1.example.com/", false),
            ("http://10.0.0.1/", false),
            ("http://0.0.0.0/", false),
            ("http://[::ffff:127.0.0.1]/", false),
            ("file://localhost/etc/passwd", false),
        ] {
            assert_eq!(is_here(&Url::parse(url).unwrap()), here, "{url}");
        }
    }
}
