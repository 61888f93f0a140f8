//! `callback_next`: whatever is taken, no browser leaves the portal by it.

use url::{Position, Url};

use super::browser::{PORTALS, assert_inside, at, decoded};
use crate::callback::{
    next::{CallbackNext, NextPrefixes},
    origin::Origin,
};

/// The parts of the portal that an operator opens, as setting and by segments.
const PREFIXES: &str = "/app, /docs/public/";
const PREFIX_SEGMENTS: [&[&str]; 2] = [&["app"], &["docs", "public"]];

/// Reads the input as a `callback_next` of each portal; tells whether the first took it.
pub fn callback_next(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    if let Ok(place) = CallbackNext::parse(text, None, &NextPrefixes::default()) {
        assert_readings_inside(&portal_url(PORTALS[0]), &place.to_string());
    }
    let taken = PORTALS.map(|portal| is_safe_in(portal, text));
    taken[0]
}

fn is_safe_in(portal: &str, text: &str) -> bool {
    let origin = Origin::parse(portal).expect("a portal's origin");
    let parse = |text: &str, prefixes: &NextPrefixes| {
        CallbackNext::parse(text, Some(&origin), prefixes).ok().map(|place| place.to_string())
    };
    let everywhere = NextPrefixes::default();
    let prefixes: NextPrefixes = PREFIXES.parse().expect("plain paths");
    let under_prefix = parse(text, &prefixes);
    let Some(place) = parse(text, &everywhere) else {
        assert_eq!(under_prefix, None, "{text:?} is taken only where less is allowed");
        return false;
    };
    let portal = portal_url(portal);

    assert!(place.len() <= 1_024 && place.bytes().all(|b| b.is_ascii_graphic()), "{text:?} became {place:?}");
    assert_eq!(&at(&portal, text)[Position::BeforePath..], place, "a browser reads {text:?} otherwise");
    assert_eq!(parse(&place, &everywhere).as_ref(), Some(&place), "taking it again changes it");
    assert_readings_inside(&portal, &place);
    assert_carried_whole(&portal, &CallbackNext::parse(text, Some(&origin), &everywhere).expect("taken before"));

    if let Some(under) = under_prefix {
        assert_eq!(under, place, "prefixes change what is taken");
        assert_eq!(parse(&place, &prefixes).as_ref(), Some(&place), "taking it again changes it");
        for reading in [place.clone(), decoded(&place)[0].clone()] {
            assert_under_prefix(&at(&portal, &reading), text);
        }
    }
    true
}

fn portal_url(portal: &str) -> Url {
    Url::parse(portal).expect("a portal's origin")
}

/// As it is, decoded once too often, from its resolved path, and each of these mixed.
fn assert_readings_inside(portal: &Url, place: &str) {
    assert_inside(portal, place);
    let path = at(portal, place).path().to_owned();
    for text in [place, path.as_str()] {
        for reading in decoded(text) {
            assert_inside(portal, &reading);
            assert!(!reading.contains(|c: char| c.is_control() || c == '\\'), "{place:?} decodes to {reading:?}");
            let decoded_path = reading.split(['?', '#']).next().unwrap_or_default();
            assert!(!decoded_path.contains("//"), "{place:?} decodes to {reading:?}");
            assert_inside(portal, at(portal, &reading).path());
        }
    }
}

/// The callback page finds in `next` what was taken, and nothing of it elsewhere in its address.
fn assert_carried_whole(portal: &Url, place: &CallbackNext) {
    let origin = portal.origin().ascii_serialization();
    let callback = format!("{origin}/auth/callback?next={}", place.encoded());
    let url = Url::parse(&callback).expect("the callback URL is a URL");
    assert_eq!(url.as_str(), callback, "a browser writes the callback URL otherwise");
    assert_eq!((url.path(), url.fragment()), ("/auth/callback", None), "{callback}");
    let pairs: Vec<_> = url.query_pairs().collect();
    assert_eq!(pairs, [("next".into(), place.to_string().into())], "{callback}");
}

fn assert_under_prefix(url: &Url, text: &str) {
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let held = PREFIX_SEGMENTS.iter().any(|prefix| segments.starts_with(prefix));
    assert!(held, "{text:?} leads to {}, which is under no prefix", url.path());
}
