//! `callback_next`: the destination inside the portal after sign-in. An accepted value cannot lead to another site,
//! neither in a browser nor in a portal that percent-decodes the value once too often.
//!
//! The same rules therefore apply to several readings of the text: as sent, percent-decoded once, and with dot segments
//! resolved. They check the text itself as well as the result of the `url` crate, because browsers and the crate differ
//! in places (`url/tests/expected_failures.txt`).

use std::{fmt, str::FromStr};

use url::Url;

use super::origin::Origin;
use crate::http::error::ValidationIssue;

/// Maximum length of `callback_next` in bytes.
pub(crate) const MAX_BYTES: usize = 1_024;
/// A base URL for parsing paths, where the portal's own origin does not matter.
const PLACEHOLDER_PORTAL: &str = "https://portal.invalid";

/// A safe path inside the portal with optional query and fragment, in normal form. Starts with exactly one slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallbackNext(String);

/// The text is not a safe destination inside the portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "callback_next must be a path inside the portal, such as /orders?page=2, of at most 1,024 bytes, without empty \
     segments, backslashes, spaces, or encoded slashes."
)]
pub(crate) struct UnsafeCallbackNext;

impl UnsafeCallbackNext {
    /// The issue for the response.
    pub(crate) fn issue(self) -> ValidationIssue {
        ValidationIssue::new("callback_next", self.to_string())
    }
}

impl CallbackNext {
    /// Parses an absolute path, a path relative to the portal's root, or a URL of the callback origin `origin`, of
    /// which only path, query and fragment are kept.
    ///
    /// # Errors
    /// The text is longer than [`MAX_BYTES`], could lead out of the portal, or lies under none of `prefixes`.
    pub(crate) fn parse(
        text: &str,
        origin: Option<&Origin>,
        prefixes: &NextPrefixes,
    ) -> Result<Self, UnsafeCallbackNext> {
        if text.len() > MAX_BYTES || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UnsafeCallbackNext);
        }
        let raw = to_absolute_path(text, origin)?;
        let normal = normalize(&raw)?;
        if normal.len() > MAX_BYTES {
            return Err(UnsafeCallbackNext);
        }
        let decoded = percent_decode(&normal)?;
        let decoded_normal = normalize(&decoded)?;
        for reading in [&raw, &percent_decode(&raw)?, &normal, &decoded, &decoded_normal] {
            check_rules(reading)?;
        }
        if !prefixes.contain(path_only(&normal)) || !prefixes.contain(path_only(&decoded_normal)) {
            return Err(UnsafeCallbackNext);
        }
        Ok(Self(normal))
    }

    /// The value of a query parameter: every byte except RFC 3986's unreserved characters is percent-encoded.
    pub(crate) fn percent_encoded(&self) -> String {
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

/// Turns the text into a path from the portal's root: adds the slash that a relative path lacks, or removes the
/// portal's own origin.
fn to_absolute_path(text: &str, origin: Option<&Origin>) -> Result<String, UnsafeCallbackNext> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && !scheme.contains(['/', '?', '#'])
    {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let text_origin = Origin::parse(&format!("{scheme}://{authority}")).ok_or(UnsafeCallbackNext)?;
        // A request without a callback origin fails anyway, with its own error code.
        if origin.is_some_and(|origin| *origin != text_origin) {
            return Err(UnsafeCallbackNext);
        }
        let path = &rest[authority.len()..];
        return Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
    }
    // A relative path must start like a name. `javascript:…` and `https:evil` have a colon in the first segment;
    // `@evil` and `:80` would continue the portal's authority.
    let first_segment = text.split(['/', '?', '#']).next().unwrap_or_default();
    let starts_like_a_name = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !starts_like_a_name || first_segment.contains([':', '@']) {
        return Err(UnsafeCallbackNext);
    }
    Ok(format!("/{text}"))
}

/// Resolves dot segments and escapes characters, as a browser does.
fn normalize(path: &str) -> Result<String, UnsafeCallbackNext> {
    let portal = Url::parse(PLACEHOLDER_PORTAL).map_err(|_| UnsafeCallbackNext)?;
    let url = portal.join(path).map_err(|_| UnsafeCallbackNext)?;
    if url.origin() != portal.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(UnsafeCallbackNext);
    }
    Ok(url[url::Position::BeforePath..].to_owned())
}

/// Percent-decodes the text once. Malformed escapes and bytes that are not UTF-8 are errors.
fn percent_decode(text: &str) -> Result<String, UnsafeCallbackNext> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let (digits, after) = after.split_at_checked(2).ok_or(UnsafeCallbackNext)?;
            bytes.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
            rest = after;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| UnsafeCallbackNext)
}

fn hex_digit(digit: u8) -> Result<u8, UnsafeCallbackNext> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).ok_or(UnsafeCallbackNext)
}

/// The rules for every reading of the text.
fn check_rules(reading: &str) -> Result<(), UnsafeCallbackNext> {
    let path = path_only(reading);
    let lower = path.to_ascii_lowercase();
    let has_unsafe_escape =
        lower.contains("%2f") || lower.contains("%5c") || lower.contains("%7f") || has_encoded_control(&lower);
    let has_unsafe_char = reading.chars().any(|c| c.is_control() || c == '\\')
        // A decoded reading may have spaces in its query, where they are harmless.
        || reading.chars().any(|c| c.is_whitespace() && c != ' ')
        || path.contains(' ');
    if !path.starts_with('/') || path.contains("//") || has_unsafe_escape || has_unsafe_char {
        Err(UnsafeCallbackNext)
    } else {
        Ok(())
    }
}

fn has_encoded_control(path: &str) -> bool {
    path.match_indices('%').any(|(at, _)| matches!(path.as_bytes().get(at + 1), Some(b'0' | b'1')))
}

/// The text up to its query or fragment.
fn path_only(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or_default()
}

/// `CALLBACK_NEXT_PREFIXES`: the parts of the portal that `callback_next` may name. Empty: the whole portal.
#[derive(Debug, Clone, Default)]
pub(crate) struct NextPrefixes(Vec<String>);

impl NextPrefixes {
    /// Whether the path lies under one of the prefixes. Prefixes match whole segments: `/app` does not contain
    /// `/apple`.
    fn contain(&self, path: &str) -> bool {
        let is_under =
            |prefix: &String| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.0.is_empty() || self.0.iter().any(is_under)
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

/// Parses a path from the settings. It must be absolute, at most 512 bytes long, and without query, fragment, escapes
/// and dot segments.
pub(crate) fn parse_path(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    let has_dot_segment = text.split('/').any(|segment| segment == "." || segment == "..");
    if text.starts_with('/')
        && !text.contains("//")
        && text.len() <= 512
        && text.chars().all(is_plain)
        && !has_dot_segment
    {
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
    fn a_destination_inside_the_portal_is_accepted() {
        for (text, expected) in [
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
            assert_eq!(parse(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_destination_that_could_leave_the_portal_is_rejected() {
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
    fn prefixes_match_whole_segments_after_normalization() {
        let prefixes: NextPrefixes = "/app, /docs/public/".parse().unwrap();
        for (text, accepted) in [
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
            assert_eq!(CallbackNext::parse(text, None, &prefixes).is_ok(), accepted, "{text}");
        }
        for text in ["app", "/a//b", "/a?b", "/a#b", "/a/../b", "/%61", "/a b", "/ä"] {
            assert!(text.parse::<NextPrefixes>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_reserved_character_is_percent_encoded() {
        let next = CallbackNext("/a-b._~/c?d=e&f=%20#g".to_owned());
        assert_eq!(next.percent_encoded(), "%2Fa-b._~%2Fc%3Fd%3De%26f%3D%2520%23g");
    }
}
