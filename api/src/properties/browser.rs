//! What a browser makes of a text that a portal hands it as the place to go to.

use url::Url;

/// The portals that texts are read for. The first is the one that the fuzzers' words and seeds name.
pub(super) const PORTALS: [&str; 4] =
    ["https://portal.example.com", "https://portal.example.com:8443", "http://localhost:3000", "http://[::1]"];

/// Panics where the place could lead out of the portal: from its root, from its callback page, glued to its
/// origin, and where only the resolved path is taken on.
pub(super) fn assert_inside(portal: &Url, place: &str) {
    let bare = as_browsers_clean(place);
    assert!(bare.starts_with('/') && !bare.starts_with("//"), "{place:?} is read as {bare:?}");
    for page in ["/", "/auth/callback?next=x#y", "/a/b/c"] {
        let page = at(portal, page);
        let url = at(&page, place);
        assert_same(portal, &url, place);
        assert_same(portal, &at(&page, url.path()), place);
    }
    let glued = format!("{}{place}", portal.origin().ascii_serialization());
    assert_same(portal, &Url::parse(&glued).expect("an origin and an absolute path are a URL"), place);
}

/// The place as the browser's address on a page.
pub(super) fn at(page: &Url, place: &str) -> Url {
    page.join(place).unwrap_or_else(|error| panic!("no browser goes to {place:?}: {error}"))
}

fn assert_same(portal: &Url, url: &Url, place: &str) {
    assert_eq!(url.origin(), portal.origin(), "{place:?} leads to {url}");
    assert!(url.username().is_empty() && url.password().is_none(), "{place:?} names a user in {url}");
    // A portal that goes on to the path alone would leave by it.
    assert!(!url.path().starts_with("//"), "{place:?} has the path {}", url.path());
}

/// WHATWG URL, "basic URL parser": blanks and controls at the ends go, tabs and line breaks go anywhere, and `\` is
/// a slash. Done here by hand, since the `url` crate is not a browser (`url/tests/expected_failures.txt`).
fn as_browsers_clean(text: &str) -> String {
    let ends = |c: char| c <= ' ';
    text.trim_matches(ends).replace(['\t', '\n', '\r'], "").replace('\\', "/")
}

/// The text decoded once: as `decodeURIComponent` does it, and as forms do it, which take `+` for a space.
pub(super) fn decoded(text: &str) -> [String; 2] {
    let name = |text: &str| {
        // One name without a value, whatever it holds.
        let field = text.replace('&', "%26").replace('=', "%3D");
        url::form_urlencoded::parse(field.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
    };
    [name(&text.replace('+', "%2B")), name(text)]
}
