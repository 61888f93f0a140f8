//! The callback origin: a resolved origin is on the allow list, and a browser reads the caller's text as the same
//! origin.

use poem::http::{HeaderMap, HeaderValue, header};
use portals::AllowedOrigins;
use url::Url;

use crate::{
    callback::source::{CALLBACK_ORIGIN_HEADER, resolve},
    http::error::ErrorCode,
};

const ALLOWED: &str =
    "https://portal.example.com, https://*.preview.example.com, https://*.dev.example.com:8443, http://localhost:*";

/// The hosts that a mail may show for the portals of [`ALLOWED`].
const SHOWN: [&str; 4] = ["portal.example.com", "preview.example.com", "dev.example.com:8443", "localhost"];

/// Reads the input's lines as body, explicit header, `Origin`, `Referer` and allow list; an empty line means that the
/// value is absent. Returns whether an origin was resolved.
pub fn callback_origin(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let mut lines = text.split('\n');
    let [body, explicit, origin, referer, list] = [(); 5].map(|()| lines.next().filter(|line| !line.is_empty()));
    let is_resolved = assert_resolves_correctly(ALLOWED, [body, explicit, origin, referer]);
    if let Some(list) = list
        && list.parse::<AllowedOrigins>().is_ok()
    {
        assert_resolves_correctly(list, [body, explicit, origin, referer]);
        assert_list_allows_no_other_sites(list);
    }
    assert_parses_correctly(ALLOWED, text);
    is_resolved
}

fn assert_resolves_correctly(list: &str, [body, explicit, origin, referer]: [Option<&str>; 4]) -> bool {
    let allowed: AllowedOrigins = list.parse().expect("parsed above");
    let mut headers = HeaderMap::new();
    for (name, value) in
        [(CALLBACK_ORIGIN_HEADER, explicit), (header::ORIGIN.as_str(), origin), (header::REFERER.as_str(), referer)]
    {
        if let Some(value) = value {
            // hyper rejects requests that contain an invalid header value.
            let Ok(value) = HeaderValue::from_str(value) else { return false };
            let name = name.to_ascii_lowercase().parse::<header::HeaderName>().expect("a header's name");
            headers.insert(name, value);
        }
    }
    for text in [body, explicit, origin].into_iter().flatten() {
        assert_parses_correctly(list, text);
    }
    match resolve(|origin| allowed.find_portal(origin.clone()), body, &headers) {
        Ok(portal) => {
            let found = portal.origin.as_str();
            let shown = portal.shown_host.as_str();
            assert!(list != ALLOWED || SHOWN.contains(&shown), "the mail shows {shown:?} for {found}");
            let names_found = |text: Option<&str>| text.and_then(browser_origin).is_some_and(|seen| seen == found);
            assert!(is_listed(list, found), "{found} is not in {list:?}");
            let is_from_first_source = match (body, explicit) {
                (Some(_), _) => names_found(body),
                (None, Some(_)) => names_found(explicit),
                (None, None) => names_found(origin) || names_found(referer),
            };
            assert!(is_from_first_source, "{found} for {body:?}, {explicit:?}, {origin:?}, {referer:?}");
            true
        }
        Err(error) => {
            let is_explicit = body.is_some() || explicit.is_some();
            let code =
                if is_explicit { ErrorCode::CallbackOriginNotAllowed } else { ErrorCode::CallbackOriginRequired };
            assert_eq!(error.code, code, "{body:?}, {explicit:?}, {origin:?}, {referer:?}");
            false
        }
    }
}

/// Checks `parse_allowed`: the text must be an origin and nothing else.
fn assert_parses_correctly(list: &str, text: &str) {
    let allowed: AllowedOrigins = list.parse().expect("parsed above");
    let Some(found) = allowed.parse_allowed(text) else { return };
    let found = found.as_str();
    assert!(is_listed(list, found), "{found} is not in {list:?}");
    assert_eq!(browser_origin(text).as_deref(), Some(found), "a browser reads {text:?} as another origin");
    assert!(
        !text.contains(|c: char| c <= ' ' || !c.is_ascii() || "\\@?#".contains(c)),
        "{text:?} is more than an origin"
    );
    assert_eq!(allowed.parse_allowed(found).map(|again| again.as_str().to_owned()).as_deref(), Some(found));
    // Appending a path and a query must not change the origin.
    assert_eq!(browser_origin(&format!("{found}/auth/callback?next=%2F")).as_deref(), Some(found));
}

/// The origin of a URL, as a browser serialises it.
fn browser_origin(text: &str) -> Option<String> {
    Url::parse(text).ok().map(|url| url.origin().ascii_serialization())
}

/// Whether an origin is on the allow list, decided by comparing serialised origins.
fn is_listed(list: &str, found: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && !label.contains(['.', ':', '/', '*', '%']);
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "http://localhost:*" {
            let port = found.strip_prefix("http://localhost");
            return port
                .is_some_and(|port| port.is_empty() || port.starts_with(':') && port[1..].parse::<u16>().is_ok());
        }
        let Some(parent) = browser_origin(&entry.replacen("*.", "", 1)) else { return false };
        let Some((scheme, host)) = parent.split_once("://").filter(|_| entry.contains("*.")) else {
            return parent == found;
        };
        let rest = found.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        rest.and_then(|rest| rest.strip_suffix(host)?.strip_suffix('.')).is_some_and(is_label)
    })
}

/// An accepted allow list never allows http, except for loopback hosts, and never allows all sites under a public
/// suffix.
fn assert_list_allows_no_other_sites(list: &str) {
    let allowed: AllowedOrigins = list.parse().expect("parsed above");
    for other in ["https://evil.com", "https://evil.co.uk", "https://evil.vercel.app", "https://evil.github.io"] {
        let host = other.trim_start_matches("https://");
        let is_named = list.to_ascii_lowercase().contains("evil") || list.contains('%') || !list.is_ascii();
        assert!(is_named || allowed.parse_allowed(other).is_none(), "{list:?} allows {host}");
    }
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty() && !entry.contains('*')) {
        let own = browser_origin(entry).and_then(|origin| allowed.parse_allowed(&origin));
        let own = own.unwrap_or_else(|| panic!("{entry:?} does not allow its own origin")).as_str().to_owned();
        let is_loopback =
            own.starts_with("http://localhost") || own.starts_with("http://127.") || own.starts_with("http://[::1]");
        assert!(own.starts_with("https://") || is_loopback, "{entry:?} allows {own}");
    }
}
