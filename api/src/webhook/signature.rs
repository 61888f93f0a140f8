//! Verifies Mailgun's signature: HMAC-SHA256 over timestamp and token with the webhook signing key, in hex.
//!
//! The event itself is not signed. `handler` ensures that a token is used for only one event.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;

/// Maximum length of an accepted token. Mailgun's tokens have 50 characters.
const MAX_TOKEN_LENGTH: usize = 64;
/// Maximum number of digits of a timestamp in seconds.
const MAX_TIMESTAMP_LENGTH: usize = 12;

/// The signed values of a webhook with a valid signature.
pub(super) struct VerifiedSignature {
    /// When Mailgun signed the webhook, as the time since the Unix epoch.
    pub(super) timestamp: Duration,
    pub(super) token: String,
}

/// Returns the signed values if the signature was made with one of the keys, otherwise `None`. In a webhook from a
/// subaccount, `parent-signature` is the signature made with our key, so it is checked, too.
pub(super) fn verify(signature: &Value, keys: &[SecretString]) -> Option<VerifiedSignature> {
    let text = |name: &str| signature.get(name).and_then(Value::as_str);
    let (timestamp, token) = (text("timestamp")?, text("token")?);
    let is_timestamp = timestamp.len() <= MAX_TIMESTAMP_LENGTH && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let is_token =
        (1..=MAX_TOKEN_LENGTH).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_timestamp || !is_token {
        return None;
    }
    let signatures = ["signature", "parent-signature"].into_iter().filter_map(|name| decode_hex(text(name)?));
    let is_signed = |signature: [u8; 32]| keys.iter().any(|key| is_signed_by(key, timestamp, token, &signature));
    if !signatures.into_iter().any(is_signed) {
        return None;
    }
    Some(VerifiedSignature { timestamp: Duration::from_secs(timestamp.parse().ok()?), token: token.to_owned() })
}

/// Whether `signature` was made with `key`. Compares in constant time.
fn is_signed_by(key: &SecretString, timestamp: &str, token: &str, signature: &[u8]) -> bool {
    // Never fails: HMAC accepts keys of any length.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else { return false };
    hmac.update(timestamp.as_bytes());
    hmac.update(token.as_bytes());
    hmac.verify_slice(signature).is_ok()
}

/// Decodes 64 hex digits into 32 bytes.
fn decode_hex(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
