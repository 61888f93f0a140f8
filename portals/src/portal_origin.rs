//! The origin of a portal, and the host that mails show.
//!
//! A mail shows the host as the operator wrote it: in Unicode only if the setting is in Unicode. A Punycode host that
//! is shown in Unicode could look like another portal.

use outbox::ShownHost;
use url::Host;

use super::origin::Origin;

/// An allowed origin, and the host that mails show for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalOrigin {
    /// The origin.
    pub origin: Origin,
    /// The host that mails show. For an entry with a wildcard, only the part that the entry specifies.
    pub shown_host: ShownHost,
}

impl PortalOrigin {
    /// Parses an origin that an operator wrote. The host may be in Unicode. Returns `None` if `text` is not an origin.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let (host, after) = rest.split_at(rest.find([':', '/']).unwrap_or(rest.len()));
        if host.is_ascii() {
            let origin = Origin::parse(text)?;
            return Some(Self { shown_host: shown_host(&origin.host.to_string(), &origin)?, origin });
        }
        let Host::Domain(ascii) = Host::parse(host).ok()? else { return None };
        let origin = Origin::parse(&format!("{scheme}://{ascii}{after}"))?;
        let unicode = shown_host(&as_written(host, &ascii), &origin);
        Some(Self { shown_host: unicode.or_else(|| shown_host(&ascii, &origin))?, origin })
    }
}

fn shown_host(host: &str, origin: &Origin) -> Option<ShownHost> {
    let text = origin.port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    ShownHost::parse(text).ok()
}

/// Returns the host `ascii`, but converts each label to Unicode if the same label in `written` is in Unicode.
fn as_written(written: &str, ascii: &str) -> String {
    let (labels, written): (Vec<&str>, Vec<&str>) = (ascii.split('.').collect(), written.split('.').collect());
    // The numbers can differ, because the URL parser also treats other characters, such as U+3002, as dots.
    if labels.len() != written.len() {
        return ascii.to_owned();
    }
    let shown = labels.into_iter().zip(written).map(|(label, written)| match idna::domain_to_unicode(label) {
        (unicode, Ok(())) if !written.is_ascii() => unicode,
        _ => label.to_owned(),
    });
    shown.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_show_a_host_as_written_in_the_setting() {
        for (text, origin, shown) in [
            ("https://Portal.Example.com", "https://portal.example.com", "portal.example.com"),
            ("https://portal.example.com:8443/", "https://portal.example.com:8443", "portal.example.com:8443"),
            ("http://[::1]:3000", "http://[::1]:3000", "[::1]:3000"),
            ("https://münchen.example", "https://xn--mnchen-3ya.example", "münchen.example"),
            ("https://MÜNCHEN.example:8443", "https://xn--mnchen-3ya.example:8443", "münchen.example:8443"),
            ("https://xn--mnchen-3ya.example", "https://xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            (
                "https://münchen.xn--mnchen-3ya.example",
                "https://xn--mnchen-3ya.xn--mnchen-3ya.example",
                "münchen.xn--mnchen-3ya.example",
            ),
            // Hosts with an ideographic full stop and with a full-width letter.
            ("https://münchen\u{3002}example", "https://xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("https://\u{ff45}xample.com", "https://example.com", "example.com"),
        ] {
            let portal = PortalOrigin::parse(text).unwrap();
            assert_eq!((portal.origin.as_str(), portal.shown_host.as_str()), (origin, shown), "{text}");
        }
        for text in [
            "münchen.example",
            "https://münchen.example/x",
            "https://user@münchen.example",
            "https://münchen.example?x",
            "https://münchen .example",
            "http://münchen.example",
            "https://münchen.example:port",
            "https://\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        ] {
            assert_eq!(PortalOrigin::parse(text), None, "{text}");
        }
    }
}
