//! Where inside the portal a person goes after sign-in: a path that no browser, and no portal that decodes once
//! more than it should, can take for another site.
//!
//! So one set of rules holds for three readings of the text: as it came, decoded once, and with its dot segments
//! resolved. The rules are textual as well as by the `url` crate: the browser decides, and the two differ in
//! places (`url/tests/expected_failures.txt`).

use std::{fmt, str::FromStr};

use url::Url;

use super::origin::Origin;
use crate::http::error::ValidationIssue;

/// Longest `callback_next`, in bytes.
pub(crate) const MAX_BYTES: usize = 1_024;
/// Stands for the portal wherever only the path matters.
const ANY_PORTAL: &str = "https://portal.invalid";

/// A safe path inside the portal, with its query and fragment if it has any. Begins with exactly one slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallbackNext(String);

/// The text names no safe place inside the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "callback_next must be a path inside the portal, such as /orders?page=2, of at most 1,024 bytes, without empty \
     segments, backslashes, spaces, or encoded slashes."
)]
pub(crate) struct UnsafeCallbackNext;

impl UnsafeCallbackNext {
    /// As the answer tells it.
    pub(crate) fn issue(self) -> ValidationIssue {
        ValidationIssue::new("callback_next", self.to_string())
    }
}

impl CallbackNext {
    /// Reads a place. `origin` is the callback origin, if there is one: a URL of that origin is reduced to its path.
    pub(crate) fn parse(
        text: &str,
        origin: Option<&Origin>,
        prefixes: &NextPrefixes,
    ) -> Result<Self, UnsafeCallbackNext> {
        if text.len() > MAX_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UnsafeCallbackNext);
        }
        let raw = rooted(text, origin)?;
        let normal = normal_form(&raw)?;
        if normal.len() > MAX_BYTES {
            return Err(UnsafeCallbackNext);
        }
        let decoded = decode(&normal)?;
        let decoded_normal = normal_form(&decoded)?;
        for reading in [&raw, &decode(&raw)?, &normal, &decoded, &decoded_normal] {
            check(reading)?;
        }
        if !prefixes.hold(path_of(&normal)) || !prefixes.hold(path_of(&decoded_normal)) {
            return Err(UnsafeCallbackNext);
        }
        Ok(Self(normal))
    }

    /// As the value of a query's parameter: all but RFC 3986's unreserved characters are escaped.
    pub(crate) fn encoded(&self) -> String {
        self.0.bytes().fold(String::with_capacity(self.0.len() * 2), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        })
    }
}

impl fmt::Display for CallbackNext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text as a path from the portal's root: as it is, with the slash that a bare relative path lacks, or what
/// follows the portal's own origin.
fn rooted(text: &str, origin: Option<&Origin>) -> Result<String, UnsafeCallbackNext> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && !scheme.contains(['/', '?', '#'])
    {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let named = Origin::parse(&format!("{scheme}://{authority}")).ok_or(UnsafeCallbackNext)?;
        // Without a callback origin the request fails anyway, for that reason.
        if origin.is_some_and(|origin| *origin != named) {
            return Err(UnsafeCallbackNext);
        }
        let place = &rest[authority.len()..];
        return Ok(if place.starts_with('/') { place.to_owned() } else { format!("/{place}") });
    }
    // `javascript:…` and `https:evil` have a colon in the first segment, `@evil` and `:80` are the rest of an
    // authority: a bare path begins like a name.
    let first_segment = text.split(['/', '?', '#']).next().unwrap_or_default();
    let begins_like_a_name = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !begins_like_a_name || first_segment.contains([':', '@']) {
        return Err(UnsafeCallbackNext);
    }
    Ok(format!("/{text}"))
}

/// What a browser makes of the path inside the portal: dot segments resolved, odd characters escaped.
fn normal_form(path: &str) -> Result<String, UnsafeCallbackNext> {
    let portal = Url::parse(ANY_PORTAL).map_err(|_| UnsafeCallbackNext)?;
    let url = portal.join(path).map_err(|_| UnsafeCallbackNext)?;
    if url.origin() != portal.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(UnsafeCallbackNext);
    }
    Ok(url[url::Position::BeforePath..].to_owned())
}

/// The text with its escapes resolved, once. Escapes that are none, or no UTF-8, are refused.
fn decode(text: &str) -> Result<String, UnsafeCallbackNext> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or(UnsafeCallbackNext)?;
            bytes.push(hex(digits[0])? << 4 | hex(digits[1])?);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| UnsafeCallbackNext)
}

fn hex(digit: u8) -> Result<u8, UnsafeCallbackNext> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(UnsafeCallbackNext)
}

/// The rules that every reading must meet.
fn check(reading: &str) -> Result<(), UnsafeCallbackNext> {
    let path = path_of(reading);
    let lower = path.to_ascii_lowercase();
    let encoded_trouble =
        lower.contains("%2f") || lower.contains("%5c") || lower.contains("%7f") || has_encoded_control(&lower);
    let trouble = reading.chars().any(|c| c.is_control() || c == '\\')
        // In a query an encoded space is a word's end and nothing more.
        || reading.chars().any(|c| c.is_whitespace() && c != ' ')
        || path.contains(' ');
    if !path.starts_with('/') || path.contains("//") || encoded_trouble || trouble {
        Err(UnsafeCallbackNext)
    } else {
        Ok(())
    }
}

fn has_encoded_control(path: &str) -> bool {
    path.match_indices('%').any(|(at, _)| matches!(path.as_bytes().get(at + 1), Some(b'0' | b'1')))
}

fn path_of(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

/// `CALLBACK_NEXT_PREFIXES`: the parts of the portal that may be gone to; all of it where there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct NextPrefixes(Vec<String>);

impl NextPrefixes {
    /// Whether a path lies under a prefix, by whole segments.
    fn hold(&self, path: &str) -> bool {
        let under =
            |prefix: &String| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.0.is_empty() || self.0.iter().any(under)
    }
}

impl FromStr for NextPrefixes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| parse_path(entry).map(|path| path.trim_end_matches('/').to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A path that an operator wrote: absolute and plain.
pub(crate) fn parse_path(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    let dots = text.split('/').any(|segment| segment == "." || segment == "..");
    if text.starts_with('/') && !text.contains("//") && text.len() <= 512 && text.chars().all(plain) && !dots {
        Ok(text.to_owned())
    } else {
        Err(format!("`{text}` is not an absolute path without query, fragment, escapes and dot segments"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: &str = "https://portal.example.com";

    fn parse(text: &str) -> Option<String> {
        let origin = Origin::parse(ORIGIN).unwrap();
        CallbackNext::parse(text, Some(&origin), &NextPrefixes::default()).ok().map(|next| next.0)
    }

    #[test]
    fn a_place_inside_the_portal_is_taken() {
        for (text, place) in [
            ("example", "/example"),
            ("/", "/"),
            ("/example", "/example"),
            ("/a/b/", "/a/b/"),
            ("a/b?c=d", "/a/b?c=d"),
            ("/orders?page=2&sort=-date", "/orders?page=2&sort=-date"),
            ("/search?q=two%20words", "/search?q=two%20words"),
            ("/x?return=https://portal.example.com/y", "/x?return=https://portal.example.com/y"),
            ("/docs#part-2", "/docs#part-2"),
            ("/caf%C3%A9", "/caf%C3%A9"),
            ("/@user/a:b", "/@user/a:b"),
            ("/a/../b", "/b"),
            ("/a/%2e%2E/b", "/b"),
            ("/./a", "/a"),
            ("/..", "/"),
            ("https://portal.example.com", "/"),
            ("https://portal.example.com/x?y#z", "/x?y#z"),
            ("https://PORTAL.example.com:443/x", "/x"),
            ("https://portal.example.com?y", "/?y"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(place), "{text}");
        }
    }

    #[test]
    fn whatever_could_lead_out_is_refused() {
        for text in [
            "",
            " ",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "\u{1}//evil.example",
            "/%09/evil.example",
            "/%0a/evil.example",
            "/%0D%0Aset-cookie:a",
            "/a%00b",
            "/a%7fb",
            "/%20/evil.example",
            "/ /evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https://evil.example",
            "https:///evil.example",
            "http://portal.example.com/x",
            "HTTPS://evil.example/x",
            "https://portal.example.com.evil.example/x",
            "https://portal.example.com@evil.example/x",
            "https://portal.example.com:8443/x",
            "https://portal.example.com\\@evil.example",
            "https://user@portal.example.com/x",
            "https://portal.example.com//evil.example",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "mailto:a@b",
            "vbscript:x",
            "about:blank",
            "//portal.example.com/x",
            "@evil.example",
            ":80",
            ".evil.example",
            "..//evil.example",
            "?x",
            "#x",
            "user:pw@evil.example",
            "a@evil.example",
            "%2f%2fevil.example",
            "/%2f%2fevil.example",
            "/%2Fevil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/a%2fb",
            "/%252f%252fevil.example",
            "/%255cevil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/./\\/evil.example",
            "/%2e//evil.example",
            "/%2e%2e//evil.example",
            "/a/%2E%2e//evil.example",
            "/a//b",
            "/a/%2e%2e%2f/evil.example",
            "/%",
            "/%2",
            "/%zz",
            "/%ff",
            "/%c0%af",
            "/\u{3002}\u{3002}/evil",
            "//evil\u{3002}example",
            "/a\u{a0}b",
            "/%e2%80%a8",
            "/%c2%85",
            "/x?a=%0a",
            "/x?a=\\",
            "/x?a=%5c",
            "/x#%09",
            "/x?a b",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert!(parse(&format!("/{}", "a".repeat(1_023))).is_some());
        assert_eq!(parse(&format!("/{}", "a".repeat(1_024))), None);
    }

    #[test]
    fn prefixes_hold_by_whole_segments_and_after_normalising() {
        let prefixes: NextPrefixes = "/app, /docs/public/".parse().unwrap();
        for (text, held) in [
            ("/app", true),
            ("app/x?y", true),
            ("/docs/public", true),
            ("/a/../app", true),
            ("/", false),
            ("/apple", false),
            ("/docs", false),
            ("/app/../admin", false),
            ("/app/%2e%2e/admin", false),
            ("/app/%252e%252e/admin", false),
        ] {
            assert_eq!(CallbackNext::parse(text, None, &prefixes).is_ok(), held, "{text}");
        }
        for text in ["app", "/a//b", "/a?b", "/a#b", "/a/../b", "/%61", "/a b", "/ä"] {
            assert!(text.parse::<NextPrefixes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_place_is_escaped_whole() {
        let place = CallbackNext("/a-b._~/c?d=e&f=%20#g".to_owned());
        assert_eq!(place.encoded(), "%2Fa-b._~%2Fc%3Fd%3De%26f%3D%2520%23g");
    }
}
