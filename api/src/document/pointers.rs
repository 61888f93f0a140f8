//! JSON pointers (RFC 6901) into the document, and a function that sets a value at a pointer.

use serde_json::Value;

/// The operation `POST /auth/send-magic-link`.
pub(super) const SEND_MAGIC_LINK: &str = "/paths/~1auth~1send-magic-link/post";
/// The operation `POST /webhooks/mailgun`.
pub(super) const WEBHOOK: &str = "/paths/~1webhooks~1mailgun/post";

/// Sets a key of the object at `pointer`. Does nothing if there is no object; a test that compares the whole document
/// would then fail.
pub(super) fn set(document: &mut Value, pointer: &str, key: &str, value: Value) {
    if let Some(Value::Object(object)) = document.pointer_mut(pointer) {
        object.insert(key.to_owned(), value);
    }
}
