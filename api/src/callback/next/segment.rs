//! The rules for a segment of the path: even after it is decoded once or twice, it must still be a single ordinary
//! segment.
//!
//! Routers and servers decode segments after splitting the path, and some decode twice. A decoded segment must
//! therefore contain no slash and no backslash, must not be `..`, and must contain nothing that a program may read as a
//! slash, a backslash or `..`.

use icu_properties::{CodePointMapData, props::GeneralCategory};
use outbox::CodePoint;
use unicode_normalization::UnicodeNormalization as _;

use super::{decode::decode_leniently, error::UnsafeCallbackNext};

/// Checks a segment of the path as it was sent, decoded once, and decoded twice.
///
/// # Errors
/// Returns the first rule that any of these forms breaks.
pub(super) fn check(segment: &str) -> Result<(), UnsafeCallbackNext> {
    // A browser resolves plain dot segments before any program sees the path.
    if segment == "." || segment == ".." {
        return Ok(());
    }
    let once = decode_leniently(segment);
    let twice = decode_leniently(&once);
    [segment, &once, &twice].into_iter().try_for_each(check_reading)
}

fn check_reading(segment: &str) -> Result<(), UnsafeCallbackNext> {
    segment.chars().try_for_each(check_char)?;
    if !segment.is_empty() && segment.trim().is_empty() {
        return Err(UnsafeCallbackNext::EmptySegment);
    }
    // Some programs treat a decoded `?`, `#` or `;` as the end of the segment.
    let ends = ['?', '#', ';'];
    let name: String = segment.split(ends).next().unwrap_or_default().nfkc().filter(|&c| !is_dropped(c)).collect();
    if name == "." || name == ".." { Err(UnsafeCallbackNext::DotSegment) } else { Ok(()) }
}

fn check_char(c: char) -> Result<(), UnsafeCallbackNext> {
    if c == '/' {
        return Err(UnsafeCallbackNext::EncodedSlash);
    }
    check_char_anywhere(c)?;
    if c.is_ascii() {
        return Ok(());
    }
    // Some programs read U+3002, the ideographic full stop, as a dot. NFKC turns the half-width U+FF61 into U+3002.
    if c.nfkc().any(|normal| matches!(normal, '/' | '\\' | '\u{3002}')) {
        return Err(UnsafeCallbackNext::Lookalike(CodePoint(c)));
    }
    match CodePointMapData::<GeneralCategory>::new().get(c) {
        GeneralCategory::Format => Err(UnsafeCallbackNext::Format(CodePoint(c))),
        _ => Ok(()),
    }
}

/// The rules that also apply to the query and fragment.
pub(super) fn check_char_anywhere(c: char) -> Result<(), UnsafeCallbackNext> {
    match c {
        '\\' => Err(UnsafeCallbackNext::Backslash),
        // JavaScript reads the separators U+2028 and U+2029 as line breaks.
        '\u{2028}' | '\u{2029}' => Err(UnsafeCallbackNext::Control),
        _ if c.is_control() => Err(UnsafeCallbackNext::Control),
        _ => Ok(()),
    }
}

/// Whether a program may drop the character before it compares a segment with `..`: white space, `+` (a space in form
/// encoding), and invisible characters.
fn is_dropped(c: char) -> bool {
    c.is_whitespace() || c == '+' || CodePoint(c).is_invisible()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_segment_is_accepted_in_any_encoding() {
        for segment in [
            "",
            "a",
            "My%20Report.pdf",
            "caf%C3%A9",
            "%E6%97%A5%E6%9C%AC",
            "a:b@c",
            "a%3Ab%3Fc%23d",
            "100%25",
            "50%25off",
            "...",
            "a..",
            "..a",
            ".well-known",
            "a;b=c",
            "%2541",
            "a%C2%A0b",
            "a+b",
            "%E2%9D%A4%EF%B8%8F",
            "%25ff",
            "%252",
            // Browsers resolve plain dot segments.
            ".",
            "..",
        ] {
            assert_eq!(check(segment), Ok(()), "{segment}");
        }
    }

    #[test]
    fn an_unsafe_segment_is_refused_with_the_rule_that_it_breaks() {
        use UnsafeCallbackNext::*;
        for (segment, expected) in [
            ("a%2Fb", EncodedSlash),
            ("a%252fb", EncodedSlash),
            ("a%5cb", Backslash),
            ("a%255Cb", Backslash),
            ("a%00", Control),
            ("a%250a", Control),
            ("%7f", Control),
            ("%C2%85", Control),
            ("%e2%80%a8", Control),
            ("%2e", DotSegment),
            (".%2E", DotSegment),
            ("%252e%252e", DotSegment),
            ("..%20", DotSegment),
            ("%20..", DotSegment),
            ("..+", DotSegment),
            ("..%C2%A0", DotSegment),
            ("..;", DotSegment),
            ("..;a=b", DotSegment),
            ("%2e%2e%3b", DotSegment),
            ("..%3Fa", DotSegment),
            ("..%23", DotSegment),
            (".%EF%B8%8F.", DotSegment),
            // Two full-width full stops, and a two-dot leader.
            ("%EF%BC%8E%EF%BC%8E", DotSegment),
            ("%E2%80%A5", DotSegment),
            ("%20", EmptySegment),
            ("%C2%A0%20", EmptySegment),
            ("%2520", EmptySegment),
            ("a%E2%80%8Bb", Format(CodePoint('\u{200b}'))),
            ("a%E2%80%AEb", Format(CodePoint('\u{202e}'))),
            ("%EF%BB%BF", Format(CodePoint('\u{feff}'))),
            ("a%E3%80%82b", Lookalike(CodePoint('\u{3002}'))),
            ("a%EF%BD%A1b", Lookalike(CodePoint('\u{ff61}'))),
            ("%EF%BC%8F", Lookalike(CodePoint('\u{ff0f}'))),
            ("%25EF%25BC%258F", Lookalike(CodePoint('\u{ff0f}'))),
            ("%EF%BC%BC", Lookalike(CodePoint('\u{ff3c}'))),
            // ℀, which NFKC turns into "a/c".
            ("%E2%84%80", Lookalike(CodePoint('\u{2100}'))),
        ] {
            assert_eq!(check(segment), Err(expected), "{segment}");
        }
    }
}
