//! Places in the document as JSON pointers (RFC 6901), and how a value is put there.

use serde_json::Value;

/// The request for a link.
pub(super) const OPERATION: &str = "/paths/~1auth~1send-magic-link/post";
/// Mailgun's webhook.
pub(super) const WEBHOOK: &str = "/paths/~1webhooks~1mailgun/post";

/// Sets a key of the object at `pointer`. A pointer that leads nowhere changes nothing; a test compares the result.
pub(super) fn set(document: &mut Value, pointer: &str, key: &str, value: Value) {
    if let Some(Value::Object(object)) = document.pointer_mut(pointer) {
        object.insert(key.to_owned(), value);
    }
}
