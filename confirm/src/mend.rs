//! Repairs the last part of a confirm link if a mail program has changed it.
//!
//! A payload consists only of `A-Z`, `a-z`, `0-9`, `-` and `_`, so any other character was added in transit. Removing
//! too much is harmless: the payload is authenticated.

use std::borrow::Cow;

/// Removes characters that do not occur in payloads, percent-encoded or not: for example line breaks, spaces, and a `>`
/// or `.` that followed the link in the surrounding text.
pub(crate) fn mend(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_of_a_payload) {
        return Cow::Borrowed(text);
    }
    let mut mended = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let skipped = if character == '%' && is_escape(rest) { 3 } else { character.len_utf8() };
        if skipped == 1 && is_of_a_payload(character as u8) {
            mended.push(character);
        }
        rest = &rest[skipped..];
    }
    Cow::Owned(mended)
}

fn is_of_a_payload(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Whether the first character of `text`, a `%`, is followed by two hexadecimal digits.
fn is_escape(text: &str) -> bool {
    text.as_bytes().get(1..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_that_mail_programs_add_are_removed() {
        for (text, expected) in [
            ("AbC-_9", "AbC-_9"),
            ("AbC>", "AbC"),
            ("AbC.", "AbC"),
            ("AbC%20", "AbC"),
            ("Ab%0D%0AC", "AbC"),
            ("Ab\r\n C", "AbC"),
            ("AbC%3E", "AbC"),
            ("AbC)\"'", "AbC"),
            ("AbC%", "AbC"),
            ("AbC\u{a0}é", "AbC"),
            ("", ""),
        ] {
            assert_eq!(mend(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_repaired_payload_contains_only_payload_characters(text in ".*") {
            prop_assert!(mend(&text).bytes().all(is_of_a_payload));
        }

        #[test]
        fn an_intact_payload_is_not_changed(payload in "[A-Za-z0-9_-]*") {
            prop_assert_eq!(&*mend(&payload), &*payload);
        }
    }
}
