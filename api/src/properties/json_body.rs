//! JSON bodies: no two programs can read different requests from the same bytes.

use serde_json::Value;

use crate::{
    http::{error::ErrorCode, json_body::JsonRequest, strict_json},
    send_magic_link::request::MagicLinkRequest,
    webhook::request::MailgunWebhook,
};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads the input as the body of a request. Returns whether it is a JSON document without a duplicate key.
pub fn json_body(input: &[u8]) -> bool {
    let parsed = strict_json::parse(input).ok();
    let document = input.strip_prefix(BYTE_ORDER_MARK).unwrap_or(input);
    let lenient = serde_json::from_slice::<Value>(document).ok();
    let expected = lenient.filter(|value| count_keys(value) == count_colons(document));
    assert_eq!(parsed, expected, "{}", input.escape_ascii());

    let marked = strict_json::parse(&[BYTE_ORDER_MARK, input].concat()).ok();
    let expected = if document.len() == input.len() { parsed.clone() } else { None };
    assert_eq!(marked, expected, "{} after a byte order mark", input.escape_ascii());

    assert_eq!(is_json_to::<MagicLinkRequest>(input), parsed.is_some(), "{}", input.escape_ascii());
    assert_eq!(is_json_to::<MailgunWebhook>(input), parsed.is_some(), "{}", input.escape_ascii());
    parsed.is_some()
}

/// Whether an endpoint accepts the body as JSON. The fields may still be invalid.
fn is_json_to<T: JsonRequest>(body: &[u8]) -> bool {
    T::parse(body).map_or_else(|error| error.code != ErrorCode::InvalidJson, |_| true)
}

/// Total number of keys in all objects of a value. Duplicate keys of an object count once.
fn count_keys(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(count_keys).sum(),
        Value::Object(fields) => fields.len() + fields.values().map(count_keys).sum::<usize>(),
        _ => 0,
    }
}

/// Number of colons outside strings. A valid document contains one colon for each written key, duplicates included.
fn count_colons(document: &[u8]) -> usize {
    let (mut colons, mut in_string, mut is_escaped) = (0, false, false);
    for byte in document {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b':' if !in_string => colons += 1,
            _ => {}
        }
    }
    colons
}
