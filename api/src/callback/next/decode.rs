//! Percent-decoding. The strict variant checks what a caller has encoded. The lenient variant predicts what a portal
//! would read if it decoded the value one time too many.

use super::error::UnsafeCallbackNext;

/// Percent-decodes `text` once, as `decodeURIComponent` does.
///
/// # Errors
/// [`UnsafeCallbackNext::BadEscape`] for an invalid escape and for bytes that are not valid UTF-8.
pub(super) fn decode_strictly(text: &str) -> Result<String, UnsafeCallbackNext> {
    let (bytes, is_complete) = decode(text);
    String::from_utf8(bytes).ok().filter(|_| is_complete).ok_or(UnsafeCallbackNext::BadEscape)
}

/// Percent-decodes `text` once. Invalid escapes are kept, and bytes that are not UTF-8 become U+FFFD.
pub(super) fn decode_leniently(text: &str) -> String {
    String::from_utf8_lossy(&decode(text).0).into_owned()
}

/// Returns the decoded bytes, and whether every `%` began a valid escape.
fn decode(text: &str) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len());
    let mut is_complete = true;
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        let escaped = match after {
            [high, low, ..] if first == b'%' => hex_digit(*high).zip(hex_digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = escaped {
            bytes.push(high << 4 | low);
            rest = &after[2..];
        } else {
            is_complete &= first != b'%';
            bytes.push(first);
        }
    }
    (bytes, is_complete)
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escape_is_two_hexadecimal_digits() {
        for (text, decoded) in [("", ""), ("a%20b", "a b"), ("caf%C3%A9", "café"), ("%2525", "%25"), ("%2f%2F", "//")]
        {
            assert_eq!(decode_strictly(text).as_deref(), Ok(decoded), "{text}");
            assert_eq!(decode_leniently(text), decoded, "{text}");
        }
    }

    #[test]
    fn only_strict_decoding_refuses_an_invalid_escape() {
        for (text, decoded) in
            [("%", "%"), ("%2", "%2"), ("%zz%20", "%zz "), ("%%20", "% "), ("%C3é", "\u{fffd}é"), ("%ff", "\u{fffd}")]
        {
            assert_eq!(decode_strictly(text), Err(UnsafeCallbackNext::BadEscape), "{text}");
            assert_eq!(decode_leniently(text), decoded, "{text}");
        }
    }
}
