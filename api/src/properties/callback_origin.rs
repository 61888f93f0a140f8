//! The callback origin: whatever is found is allowed, and is what a browser takes the caller's text for.

use poem::http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::{
    callback::{
        allowed_origins::AllowedOrigins,
        source::{HEADER, resolve},
    },
    http::error::ErrorCode,
};

const ALLOWED: &str =
    "https://portal.example.com, https://*.preview.example.com, https://*.dev.example.com:8443, http://localhost:*";

/// Reads the input's lines as body, X header, `Origin`, `Referer` and allow list, each absent where it is empty;
/// tells whether an origin was found.
pub fn callback_origin(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let mut lines = text.split('\n');
    let [body, explicit, origin, referer, list] = [(); 5].map(|()| lines.next().filter(|line| !line.is_empty()));
    let found = assert_resolves_right(ALLOWED, [body, explicit, origin, referer]);
    if let Some(list) = list
        && list.parse::<AllowedOrigins>().is_ok()
    {
        assert_resolves_right(list, [body, explicit, origin, referer]);
        assert_entries_allow_no_stranger(list);
    }
    assert_found_right(ALLOWED, text);
    found
}

fn assert_resolves_right(list: &str, [body, explicit, origin, referer]: [Option<&str>; 4]) -> bool {
    let allowed: AllowedOrigins = list.parse().expect("parsed before");
    let mut headers = HeaderMap::new();
    for (name, value) in [(HEADER, explicit), (header::ORIGIN.as_str(), origin), (header::REFERER.as_str(), referer)] {
        if let Some(value) = value {
            // No server lets such a header in.
            let Ok(value) = HeaderValue::from_str(value) else { return false };
            let name = name.to_ascii_lowercase().parse::<header::HeaderName>().expect("a header's name");
            headers.insert(name, value);
        }
    }
    for text in [body, explicit, origin].into_iter().flatten() {
        assert_found_right(list, text);
    }
    match resolve(&allowed, body, &headers) {
        Ok(found) => {
            let found = found.as_str();
            let named = |text: Option<&str>| text.and_then(as_browsers_see).is_some_and(|seen| seen == found);
            assert!(is_listed(list, found), "{found} is not of {list:?}");
            let by_its_source = match (body, explicit) {
                (Some(_), _) => named(body),
                (None, Some(_)) => named(explicit),
                (None, None) => named(origin) || named(referer),
            };
            assert!(by_its_source, "{found} for {body:?}, {explicit:?}, {origin:?}, {referer:?}");
            true
        }
        Err(none) => {
            let on_purpose = body.is_some() || explicit.is_some();
            let code = if on_purpose { ErrorCode::CallbackOriginNotAllowed } else { ErrorCode::CallbackOriginRequired };
            assert_eq!(none.code, code, "{body:?}, {explicit:?}, {origin:?}, {referer:?}");
            false
        }
    }
}

/// What is found in a text that names an origin and nothing else.
fn assert_found_right(list: &str, text: &str) {
    let allowed: AllowedOrigins = list.parse().expect("parsed before");
    let Some(found) = allowed.find(text) else { return };
    let found = found.as_str();
    assert!(is_listed(list, found), "{found} is not of {list:?}");
    assert_eq!(as_browsers_see(text).as_deref(), Some(found), "a browser takes {text:?} for another");
    assert!(!text.contains(|c: char| c <= ' ' || !c.is_ascii() || "\\@?#".contains(c)), "{text:?} is more than one");
    assert_eq!(allowed.find(found).map(|again| again.as_str().to_owned()).as_deref(), Some(found));
    // What follows the origin in the callback URL changes nothing of it.
    assert_eq!(as_browsers_see(&format!("{found}/auth/callback?next=%2F")).as_deref(), Some(found));
}

/// The origin of a URL as a browser serialises it.
fn as_browsers_see(text: &str) -> Option<String> {
    Url::parse(text).ok().map(|url| url.origin().ascii_serialization())
}

/// Whether an origin is on the list, decided on the serialised texts.
fn is_listed(list: &str, found: &str) -> bool {
    let is_label = |label: &str| !label.is_empty() && !label.contains(['.', ':', '/', '*', '%']);
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "http://localhost:*" {
            let port = found.strip_prefix("http://localhost");
            return port
                .is_some_and(|port| port.is_empty() || port.starts_with(':') && port[1..].parse::<u16>().is_ok());
        }
        let Some(parent) = as_browsers_see(&entry.replacen("*.", "", 1)) else { return false };
        let Some((scheme, host)) = parent.split_once("://").filter(|_| entry.contains("*.")) else {
            return parent == found;
        };
        let rest = found.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("://"));
        rest.and_then(|rest| rest.strip_suffix(host)?.strip_suffix('.')).is_some_and(is_label)
    })
}

/// Whatever list is accepted at the start, it opens no scheme but https, loopback aside, and no public suffix.
fn assert_entries_allow_no_stranger(list: &str) {
    let allowed: AllowedOrigins = list.parse().expect("parsed before");
    for stranger in ["https://evil.com", "https://evil.co.uk", "https://evil.vercel.app", "https://evil.github.io"] {
        let host = stranger.trim_start_matches("https://");
        let named = list.to_ascii_lowercase().contains("evil") || list.contains('%');
        assert!(named || allowed.find(stranger).is_none(), "{list:?} lets {host} in");
    }
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty() && !entry.contains('*')) {
        let own = as_browsers_see(entry).and_then(|origin| allowed.find(&origin));
        let own = own.unwrap_or_else(|| panic!("{entry:?} does not allow itself")).as_str().to_owned();
        let loopback =
            own.starts_with("http://localhost") || own.starts_with("http://127.") || own.starts_with("http://[::1]");
        assert!(own.starts_with("https://") || loopback, "{entry:?} opens {own}");
    }
}
