//! `callback_next`: the destination inside the portal after sign-in. An accepted value never points to another site or
//! outside `CALLBACK_NEXT_PREFIXES`, even if a portal percent-decodes the value once too often.
//!
//! The parser is meant to accept `location.pathname + location.search` from almost any page. It refuses a value that is
//! too long or contains an invalid escape, a backslash or an encoded control character. It also refuses a path with an
//! empty segment, a format character, or anything that a browser, router or server might read as a separator or as `..`
//! (`segment`). The rules are applied both to the value as sent and to the value as the `url` crate normalises it,
//! because browsers and the crate differ in places (`url/tests/expected_failures.txt`).

mod decode;
mod error;
mod segment;

use std::fmt;

use outbox::CodePoint;
use portals::{NextPrefixes, Origin};
use url::Url;

use self::decode::{decode_leniently, decode_strictly};
pub(crate) use self::error::UnsafeCallbackNext;

/// Maximum length of `callback_next` in bytes.
pub(crate) const MAX_BYTES: usize = 1_024;
/// A base URL for parsing paths. The portal's own origin does not matter here.
const PLACEHOLDER_PORTAL: &str = "https://portal.invalid";

/// A safe path inside the portal with an optional query and fragment, in normal form. Starts with exactly one slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallbackNext(String);

impl CallbackNext {
    /// Parses an absolute path, a path relative to the portal's root, or a URL with the callback origin `origin`. If
    /// the text is a URL, only its path, query and fragment are kept.
    ///
    /// # Errors
    /// Returns the rule that the text breaks.
    pub(crate) fn parse(
        text: &str,
        origin: Option<&Origin>,
        prefixes: &NextPrefixes,
    ) -> Result<Self, UnsafeCallbackNext> {
        check_text(text)?;
        let path = to_absolute_path(text, origin)?;
        check(&path)?;
        let normal = normalize(&path)?;
        if normal.len() > MAX_BYTES {
            return Err(UnsafeCallbackNext::TooLong);
        }
        // Resolving dot segments and adding escapes cannot break a rule. The result is checked anyway, because it is
        // the value that is used.
        check(&normal)?;
        // If this path is under a prefix, every decoded form of the path is too: prefixes contain no escapes, and
        // decoding a segment yields neither additional segments nor a dot segment.
        if prefixes.contain(split_path(&normal).0) {
            Ok(Self(normal))
        } else {
            Err(UnsafeCallbackNext::OutsidePrefixes)
        }
    }

    /// The value for a query parameter: every byte except RFC 3986's unreserved characters is percent-encoded.
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

/// Checks the rules for the whole text: visible ASCII, of limited length, without backslashes.
fn check_text(text: &str) -> Result<(), UnsafeCallbackNext> {
    if text.len() > MAX_BYTES {
        return Err(UnsafeCallbackNext::TooLong);
    }
    if let Some(invisible) = CodePoint::first_invisible(text) {
        return Err(UnsafeCallbackNext::Invisible(invisible));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(UnsafeCallbackNext::NotEncoded);
    }
    text.chars().try_for_each(segment::check_char_anywhere)
}

/// Turns the text into an absolute path: adds a leading slash to a relative path, or removes the portal's origin from a
/// URL.
fn to_absolute_path(text: &str, origin: Option<&Origin>) -> Result<String, UnsafeCallbackNext> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    if let Some((scheme, rest)) = text.split_once("://")
        && !scheme.contains(['/', '?', '#'])
    {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let text_origin = Origin::parse(&format!("{scheme}://{authority}")).ok_or(UnsafeCallbackNext::OtherOrigin)?;
        // A request without a callback origin is rejected elsewhere, with its own error code.
        if origin.is_some_and(|origin| *origin != text_origin) {
            return Err(UnsafeCallbackNext::OtherOrigin);
        }
        let path = &rest[authority.len()..];
        return Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
    }
    let once = decode_leniently(text);
    if [text, &once, &decode_leniently(&once)].into_iter().any(begins_with_scheme) {
        return Err(UnsafeCallbackNext::Scheme);
    }
    // A relative path must begin with a letter, a digit, `_` or `-`. If a portal appended `@evil` or `:80` to its own
    // origin, the URL would have a different host or port.
    let first_segment = text.split(['/', '?', '#']).next().unwrap_or_default();
    let starts_like_a_name = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if !starts_like_a_name || first_segment.contains([':', '@']) {
        return Err(UnsafeCallbackNext::NotAPath);
    }
    Ok(format!("/{text}"))
}

/// Whether a URL parser would read the beginning of the text as a scheme: a letter, then letters, digits, `+`, `-` or
/// `.`, then a colon.
fn begins_with_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    })
}

/// Checks a path with an optional query and fragment.
fn check(text: &str) -> Result<(), UnsafeCallbackNext> {
    decode_strictly(text)?;
    let (path, query_and_fragment) = split_path(text);
    let segments = path.strip_prefix('/').ok_or(UnsafeCallbackNext::NotAPath)?;
    if path.contains("//") {
        return Err(UnsafeCallbackNext::EmptySegment);
    }
    segments.split('/').try_for_each(segment::check)?;
    decode_leniently(query_and_fragment).chars().try_for_each(segment::check_char_anywhere)
}

/// Resolves dot segments and escapes characters, as a browser does.
fn normalize(path: &str) -> Result<String, UnsafeCallbackNext> {
    let portal = Url::parse(PLACEHOLDER_PORTAL).map_err(|_| UnsafeCallbackNext::NotAPath)?;
    let url = portal.join(path).map_err(|_| UnsafeCallbackNext::NotAPath)?;
    if url.origin() != portal.origin() || !url.username().is_empty() || url.password().is_some() {
        return Err(UnsafeCallbackNext::OtherOrigin);
    }
    Ok(url[url::Position::BeforePath..].to_owned())
}

/// Splits `text` into the path and the rest (query and fragment).
fn split_path(text: &str) -> (&str, &str) {
    text.split_at(text.find(['?', '#']).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests;
