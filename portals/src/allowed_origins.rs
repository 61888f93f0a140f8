//! The origins that links may lead back to: `CALLBACK_ORIGINS`, or the `origins` of a portal in `PORTALS_FILE`.
//!
//! An entry is an origin, an origin whose first label is `*` (which matches exactly one label), or
//! `http://localhost:*`. Hosts may be in Unicode.

use std::str::FromStr;

use outbox::ShownHost;
use url::Host;

use super::{origin::Origin, portal_origin::PortalOrigin};

/// A list of allowed origins. In `CALLBACK_ORIGINS`, the entries are separated by commas.
#[derive(Debug, Clone)]
pub struct AllowedOrigins(Vec<AllowedOrigin>);

/// An entry in a list of allowed origins.
#[derive(Debug, Clone)]
pub(crate) struct AllowedOrigin {
    rule: OriginRule,
    /// The host that mails show for a portal that this entry allows.
    shown_host: ShownHost,
}

#[derive(Debug, Clone)]
enum OriginRule {
    /// Exactly this origin.
    Exact(Origin),
    /// Each origin that has this origin's scheme and port, and its host with exactly one more label in front.
    Subdomain(Origin),
    /// `http://localhost` on any port.
    Localhost,
}

impl AllowedOrigins {
    /// Parses an origin. Returns `None` if the text is not an origin or the origin is not allowed.
    #[must_use]
    pub fn parse_allowed(&self, text: &str) -> Option<Origin> {
        Origin::parse(text).filter(|origin| self.allows(origin))
    }

    /// Returns the portal with this origin, or `None` if no entry allows it. An exact entry takes precedence over a
    /// wildcard, so that mails show the whole host.
    #[must_use]
    pub fn find_portal(&self, origin: Origin) -> Option<PortalOrigin> {
        let allowing = self.0.iter().filter(|entry| entry.rule.allows(&origin));
        let entry = allowing.min_by_key(|entry| !matches!(entry.rule, OriginRule::Exact(_)))?;
        Some(PortalOrigin { origin, shown_host: entry.shown_host.clone() })
    }

    /// The host of each entry, without the wildcard if there is one.
    pub fn hosts(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|entry| match &entry.rule {
            OriginRule::Exact(origin) | OriginRule::Subdomain(origin) => origin.host.to_string(),
            OriginRule::Localhost => "localhost".to_owned(),
        })
    }

    /// For each entry, an origin that it allows, and the entry itself as a pattern for Supabase's redirect allow list.
    pub fn examples(&self) -> impl Iterator<Item = (String, String)> {
        self.0.iter().map(|entry| match &entry.rule {
            OriginRule::Exact(origin) => (origin.as_str().to_owned(), origin.as_str().to_owned()),
            OriginRule::Subdomain(parent) => {
                let with_label = |label: &str| parent.as_str().replacen("://", &format!("://{label}."), 1);
                (with_label("preview"), with_label("*"))
            }
            OriginRule::Localhost => ("http://localhost:3000".to_owned(), "http://localhost:*".to_owned()),
        })
    }

    fn allows(&self, origin: &Origin) -> bool {
        self.0.iter().any(|entry| entry.rule.allows(origin))
    }

    /// Whether `http://localhost` is allowed on any port. If it is, any web server on the user's machine counts as a
    /// portal.
    #[must_use]
    pub fn any_localhost(&self) -> bool {
        self.0.iter().any(|entry| matches!(entry.rule, OriginRule::Localhost))
    }
}

impl AllowedOrigin {
    /// Whether there is an origin that both entries allow.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.rule.overlaps(&other.rule)
    }
}

impl OriginRule {
    fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (rule, Self::Exact(origin)) | (Self::Exact(origin), rule) => rule.allows(origin),
            // Each wildcard stands for exactly one label, so two rules overlap only if the rest of the host is the same.
            (Self::Subdomain(own), Self::Subdomain(other)) => own == other,
            (Self::Localhost, Self::Localhost) => true,
            (Self::Subdomain(_), Self::Localhost) | (Self::Localhost, Self::Subdomain(_)) => false,
        }
    }

    fn allows(&self, origin: &Origin) -> bool {
        match self {
            Self::Exact(allowed) => origin == allowed,
            Self::Localhost => {
                origin.scheme == "http" && matches!(&origin.host, Host::Domain(name) if name == "localhost")
            }
            Self::Subdomain(parent) => {
                let (Host::Domain(parent_name), Host::Domain(name)) = (&parent.host, &origin.host) else {
                    return false;
                };
                let label = name.strip_suffix(parent_name.as_str()).and_then(|rest| rest.strip_suffix('.'));
                parent.scheme == origin.scheme && parent.port == origin.port && label.is_some_and(is_label)
            }
        }
    }
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

impl FromStr for AllowedOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let origins: Self = entries.map(str::parse).collect::<Result<_, _>>()?;
        if origins.0.is_empty() { Err("contains no origin".to_owned()) } else { Ok(origins) }
    }
}

impl FromStr for AllowedOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_entry(text.trim())
    }
}

impl FromIterator<AllowedOrigin> for AllowedOrigins {
    fn from_iter<I: IntoIterator<Item = AllowedOrigin>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

fn parse_entry(text: &str) -> Result<AllowedOrigin, String> {
    if text == "http://localhost:*" {
        let shown_host = ShownHost::parse("localhost").map_err(|_| not_an_origin(text))?;
        return Ok(AllowedOrigin { rule: OriginRule::Localhost, shown_host });
    }
    // Handle `*` before parsing: the URL parser accepts it as part of a host name.
    let stars = text.matches('*').count();
    let Some((scheme, parent)) = text.split_once("://*.").filter(|_| stars == 1) else {
        if stars > 0 {
            return Err(format!("`{text}`: a wildcard must be the whole first label"));
        }
        let PortalOrigin { origin, shown_host } = PortalOrigin::parse(text).ok_or_else(|| not_an_origin(text))?;
        return Ok(AllowedOrigin { rule: OriginRule::Exact(origin), shown_host });
    };
    let parent = PortalOrigin::parse(&format!("{scheme}://{parent}")).ok_or_else(|| not_an_origin(text))?;
    match &parent.origin.host {
        // Anybody can register a name under a public suffix. If a wildcard allowed such names, their owners could
        // obtain other people's sessions.
        Host::Domain(name) if psl::domain_str(name).is_none() => {
            Err(format!("`{text}`: anybody can register a name under `{name}`; use your own domain"))
        }
        Host::Domain(_) => {
            Ok(AllowedOrigin { rule: OriginRule::Subdomain(parent.origin), shown_host: parent.shown_host })
        }
        Host::Ipv4(_) | Host::Ipv6(_) => Err(format!("`{text}`: an IP address has no subdomains")),
    }
}

fn not_an_origin(text: &str) -> String {
    format!("`{text}` is not an origin: an origin is https://host[:port] without a path (http for loopback only)")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entries: &str, text: &str) -> bool {
        entries.parse::<AllowedOrigins>().unwrap().parse_allowed(text).is_some()
    }

    #[test]
    fn an_entry_allows_its_own_origin_but_no_lookalike() {
        let entry = "https://portal.example.com";
        for text in [entry, "https://portal.example.com/", "https://PORTAL.example.com:443"] {
            assert!(allows(entry, text), "{text}");
        }
        for text in [
            "https://portal.example.com.",
            "https://portal.example.com.evil.example",
            "https://evilportal.example.com",
            "https://a.portal.example.com",
            "https://example.com",
            "https://portal.example.com:8443",
            "http://portal.example.com",
            "https://portal.example.com@evil.example",
            "https://portal-example.com",
            "https://portalxexample.com",
            "https://evil.example/portal.example.com",
            "https://evil.example?portal.example.com",
            "https://evil.example#portal.example.com",
            "https://portal.example.co",
            "https://p\u{43e}rtal.example.com",
            "https://portal.example.com\\.evil.example",
            "https://portal.example.com%2eevil.example",
            "https://xn--prtal-n0a.example.com",
        ] {
            assert!(!allows(entry, text), "{text}");
        }
    }

    #[test]
    fn a_wildcard_matches_exactly_one_label() {
        let entry = "https://*.preview.example.com:8443";
        assert!(allows(entry, "https://pr-7.preview.example.com:8443"));
        for text in [
            "https://preview.example.com:8443",
            "https://*.preview.example.com:8443",
            "https://a.b.preview.example.com:8443",
            "https://.preview.example.com:8443",
            "https://pr-7.preview.example.com",
            "https://pr-7preview.example.com:8443",
            "https://pr-7.preview.example.com.:8443",
            "https://pr-7.preview.example.com.evil.example:8443",
            "https://*.preview.example.com.evil.example:8443",
        ] {
            assert!(!allows(entry, text), "{text}");
        }
        assert!(!allows(entry, &format!("https://{}.preview.example.com:8443", "a".repeat(64))));
    }

    #[test]
    fn the_localhost_entry_allows_every_port_but_only_http_and_only_that_name() {
        let entry = "http://localhost:*";
        for (text, allowed) in [
            ("http://localhost", true),
            ("http://localhost:5173", true),
            ("https://localhost:5173", false),
            ("http://127.0.0.1:5173", false),
            ("http://localhost.evil.example:5173", false),
            ("http://a.localhost:5173", false),
        ] {
            assert_eq!(allows(entry, text), allowed, "{text}");
        }
    }

    /// The caller chooses the port of localhost and the label that a wildcard matches, so mails must show neither.
    #[test]
    fn mails_show_only_the_part_of_a_host_that_the_setting_specifies() {
        let entries = "https://*.preview.example.com:8443, https://pr-7.preview.example.com:8443, \
                       https://*.münchen.example, http://localhost:*, http://localhost:3000";
        let allowed: AllowedOrigins = entries.parse().unwrap();
        for (text, shown) in [
            ("https://your-account-is-locked.preview.example.com:8443", "preview.example.com:8443"),
            ("https://pr-7.preview.example.com:8443", "pr-7.preview.example.com:8443"),
            ("https://a.xn--mnchen-3ya.example", "münchen.example"),
            ("http://localhost:3000", "localhost:3000"),
            ("http://localhost:8090", "localhost"),
        ] {
            let portal = allowed.find_portal(Origin::parse(text).unwrap()).unwrap();
            assert_eq!((portal.origin.as_str(), portal.shown_host.as_str()), (text, shown));
        }
        assert_eq!(allowed.find_portal(Origin::parse("https://evil.example").unwrap()), None);
    }

    #[test]
    fn entries_overlap_if_an_origin_matches_both() {
        for (one, other, overlap) in [
            ("https://a.example.com", "https://A.example.com:443/", true),
            ("https://a.example.com", "https://b.example.com", false),
            ("https://*.example.com", "https://a.example.com", true),
            ("https://*.example.com", "https://a.b.example.com", false),
            ("https://*.example.com", "https://*.example.com", true),
            ("https://*.example.com", "https://*.b.example.com", false),
            ("http://localhost:*", "http://localhost:3000", true),
            ("http://localhost:*", "http://127.0.0.1:3000", false),
            ("http://localhost:*", "http://localhost:*", true),
            ("http://localhost:*", "https://*.example.com", false),
        ] {
            let (one, other): (AllowedOrigin, AllowedOrigin) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(one.overlaps(&other), overlap, "{one:?} {other:?}");
            assert_eq!(other.overlaps(&one), overlap, "{one:?} {other:?}");
        }
    }

    #[test]
    fn invalid_and_overly_broad_entries_are_rejected() {
        for text in [
            "",
            ",",
            "*",
            "https://*",
            "https://*.com",
            "https://*.co.uk",
            "https://*.vercel.app",
            "https://*.github.io",
            "https://*.localdomain",
            "https://*.公司.cn",
            "https://*.münchen.example/app",
            "http://*.example.com",
            "http://portal.example.com",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://a*.example.com",
            "https://portal.example.com/app",
            "https://*.127.0.0.1",
            "portal.example.com",
            "https://localhost:*",
            "https://portal.example.com:*",
            "https://user@portal.example.com",
        ] {
            assert!(text.parse::<AllowedOrigins>().is_err(), "{text}");
        }
    }
}
