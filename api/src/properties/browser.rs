//! A model of how a browser resolves the string that a portal navigates to.

use url::Url;

/// The portals against which each string is resolved. The fuzzers' dictionaries and seeds use the first portal.
pub(super) const PORTALS: [&str; 4] =
    ["https://portal.example.com", "https://portal.example.com:8443", "http://localhost:3000", "http://[::1]"];

/// Panics if a browser could leave the portal when a page of the portal navigates to `text` or to its resolved path
/// alone, or when the portal appends `text` to its origin.
pub(super) fn assert_stays_inside(portal: &Url, text: &str) {
    let cleaned = clean_like_browser(text);
    assert!(cleaned.starts_with('/') && !cleaned.starts_with("//"), "a browser reads {text:?} as {cleaned:?}");
    for path in ["/", "/auth/callback?next=x#y", "/a/b/c"] {
        let page = resolve(portal, path);
        let url = resolve(&page, text);
        assert_same_origin(portal, &url, text);
        assert_same_origin(portal, &resolve(&page, url.path()), text);
    }
    let appended = format!("{}{text}", portal.origin().ascii_serialization());
    assert_same_origin(portal, &Url::parse(&appended).expect("an origin followed by an absolute path is a URL"), text);
}

/// The URL that a browser opens if `page` navigates to `text`.
pub(super) fn resolve(page: &Url, text: &str) -> Url {
    page.join(text).unwrap_or_else(|error| panic!("a browser cannot resolve {text:?}: {error}"))
}

fn assert_same_origin(portal: &Url, url: &Url, text: &str) {
    assert_eq!(url.origin(), portal.origin(), "{text:?} leads to {url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{text:?} leads to {url}, which contains a user");
    // If a portal redirected to this path alone, the browser would leave the portal's origin.
    assert!(!url.path().starts_with("//"), "{text:?} has the path {}", url.path());
}

/// Cleans `text` as the WHATWG URL standard's "basic URL parser" does: removes spaces and control characters at both
/// ends, removes tabs and line breaks, and reads `\` as a slash. This is implemented by hand, because the `url` crate
/// differs from browsers in places (`url/tests/expected_failures.txt`).
fn clean_like_browser(text: &str) -> String {
    let is_trimmed = |c: char| c <= ' ';
    text.trim_matches(is_trimmed).replace(['\t', '\n', '\r'], "").replace('\\', "/")
}

/// Percent-decodes the text once and twice, both as `decodeURIComponent` does and as forms do. Forms also read `+` as a
/// space. Invalid escapes are kept.
pub(super) fn decoded(text: &str) -> Vec<String> {
    let once = [decode_component(text), decode_form(text)];
    let twice = once.iter().flat_map(|text| [decode_component(text), decode_form(text)]).collect::<Vec<_>>();
    once.into_iter().chain(twice).collect()
}

/// The text percent-decoded once, as `decodeURIComponent` does.
pub(super) fn decode_component(text: &str) -> String {
    decode_form(&text.replace('+', "%2B"))
}

fn decode_form(text: &str) -> String {
    // Escape `&` and `=`, so that the whole text is one name without a value.
    let field = text.replace('&', "%26").replace('=', "%3D");
    url::form_urlencoded::parse(field.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}
