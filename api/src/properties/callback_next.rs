//! `callback_next`: an accepted value never leads a browser out of the portal, and never leads a router or server out
//! of `CALLBACK_NEXT_PREFIXES`.

use url::{Position, Url};

use super::browser::{PORTALS, assert_stays_inside, decode_component, decoded, resolve};
use portals::{NextPrefixes, Origin};

use crate::callback::next::CallbackNext;

/// An example value of `CALLBACK_NEXT_PREFIXES`, and the segments of the same prefixes.
const PREFIXES: &str = "/app, /docs/public/";
const PREFIX_SEGMENTS: [&[&str]; 2] = [&["app"], &["docs", "public"]];

/// Parses the input as `callback_next` for each portal. Returns whether the value was accepted for the first portal.
pub fn callback_next(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    if let Ok(next) = CallbackNext::parse(text, None, &NextPrefixes::default()) {
        assert_readings_stay_inside(&portal_url(PORTALS[0]), &next.to_string());
    }
    let accepted = PORTALS.map(|portal| check_for_portal(portal, text));
    accepted[0]
}

fn check_for_portal(portal: &str, text: &str) -> bool {
    let origin = Origin::parse(portal).expect("a portal's origin");
    let parse = |text: &str, prefixes: &NextPrefixes| {
        CallbackNext::parse(text, Some(&origin), prefixes).ok().map(|next| next.to_string())
    };
    let no_prefixes = NextPrefixes::default();
    let prefixes: NextPrefixes = PREFIXES.parse().expect("plain paths");
    let with_prefixes = parse(text, &prefixes);
    let Some(next) = parse(text, &no_prefixes) else {
        assert_eq!(with_prefixes, None, "{text:?} is accepted only with prefixes");
        return false;
    };
    let portal = portal_url(portal);

    assert!(next.len() <= 1_024 && next.bytes().all(|b| b.is_ascii_graphic()), "{text:?} became {next:?}");
    assert_eq!(&resolve(&portal, text)[Position::BeforePath..], next, "a browser resolves {text:?} differently");
    assert_eq!(parse(&next, &no_prefixes).as_ref(), Some(&next), "parsing the result again changes it");
    assert_readings_stay_inside(&portal, &next);
    assert_query_carries_next(
        &portal,
        &CallbackNext::parse(text, Some(&origin), &no_prefixes).expect("accepted above"),
    );

    if let Some(accepted) = with_prefixes {
        assert_eq!(accepted, next, "prefixes change the result");
        assert_eq!(parse(&next, &prefixes).as_ref(), Some(&next), "parsing the result again changes it");
        let readings = decoded(&next).into_iter().chain([next.clone()]);
        for reading in readings {
            assert_under_prefix(&resolve(&portal, &reading), text);
        }
    }
    true
}

fn portal_url(portal: &str) -> Url {
    Url::parse(portal).expect("a portal's origin")
}

/// Checks the value as sent, percent-decoded once or twice too often, reduced to its resolved path, and in combinations
/// of these forms.
fn assert_readings_stay_inside(portal: &Url, next: &str) {
    assert_stays_inside(portal, next);
    let path = resolve(portal, next).path().to_owned();
    path.split('/').for_each(assert_is_one_segment);
    let query = decode_component(next);
    assert!(!query.contains(|c: char| c.is_control() || c == '\\'), "{next:?} decodes to {query:?}");
    for text in [next, path.as_str()] {
        for reading in decoded(text) {
            assert_stays_inside(portal, &reading);
            let decoded_path = reading.split(['?', '#']).next().unwrap_or_default();
            assert!(!decoded_path.contains("//"), "{next:?} decodes to {reading:?}");
            assert_stays_inside(portal, resolve(portal, &reading).path());
        }
    }
}

/// Even if a router or server decodes the segment once or twice after splitting the path, the result must still be a
/// single segment. It must not be a dot segment, must not consist only of spaces, and must contain no control or format
/// characters.
fn assert_is_one_segment(segment: &str) {
    let once = decode_component(segment);
    let twice = decode_component(&once);
    for reading in [segment, &once, &twice] {
        let unsafe_char =
            reading.chars().find(|&c| "/\\\u{3002}\u{ff0f}\u{ff3c}".contains(c) || c.is_control() || is_format(c));
        assert_eq!(unsafe_char, None, "{segment:?} decodes to {reading:?}");
        for end in [None, Some('?'), Some('#'), Some(';')] {
            let name = end.and_then(|end| reading.split_once(end)).map_or(reading, |(name, _)| name);
            let name = name.replace('+', " ");
            assert!(!matches!(name.trim(), "." | ".."), "{segment:?} decodes to {reading:?}");
        }
        assert!(reading.is_empty() || !reading.trim().is_empty(), "{segment:?} decodes to {reading:?}");
    }
}

/// Whether `c` is one of the common characters in Unicode's category Cf.
fn is_format(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}')
        || matches!(c, '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'..='\u{e007f}')
}

/// The callback page receives exactly the accepted value in `next`, and the value changes no other part of the URL.
fn assert_query_carries_next(portal: &Url, next: &CallbackNext) {
    let origin = portal.origin().ascii_serialization();
    let callback = format!("{origin}/auth/callback?next={}", next.percent_encoded());
    let url = Url::parse(&callback).expect("the callback URL can be parsed");
    assert_eq!(url.as_str(), callback, "a browser serialises the callback URL differently");
    assert_eq!((url.path(), url.fragment()), ("/auth/callback", None), "{callback}");
    let pairs: Vec<_> = url.query_pairs().collect();
    assert_eq!(pairs, [("next".into(), next.to_string().into())], "{callback}");
}

fn assert_under_prefix(url: &Url, text: &str) {
    let segments: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    let is_under_prefix = PREFIX_SEGMENTS.iter().any(|prefix| segments.starts_with(prefix));
    assert!(is_under_prefix, "{text:?} leads to {}, which is under no prefix", url.path());
}
