//! Mailgun's signature: HMAC-SHA256, by the webhook signing key, over the timestamp and the token.

use std::time::Duration;

use hmac::{Hmac, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use sha2::Sha256;

/// Longest token that is taken; Mailgun's have 50.
const LONGEST_TOKEN: usize = 64;
/// Digits of a timestamp: seconds since 1970.
const LONGEST_TIMESTAMP: usize = 12;

/// What is signed.
pub(super) struct Signed {
    /// Since 1970.
    pub(super) timestamp: Duration,
    pub(super) token: String,
}

/// What was signed, if one of the keys signed it. Of a subaccount's webhook our key signs the parent's signature.
pub(super) fn verify(signature: &Value, keys: &[SecretString]) -> Option<Signed> {
    let text = |name: &str| signature.get(name).and_then(Value::as_str);
    let (timestamp, token) = (text("timestamp")?, text("token")?);
    let is_number = timestamp.len() <= LONGEST_TIMESTAMP && timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let is_token = (1..=LONGEST_TOKEN).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_number || !is_token {
        return None;
    }
    let signatures = ["signature", "parent-signature"].into_iter().filter_map(|name| bytes_of(text(name)?));
    let by_any = |signature: [u8; 32]| keys.iter().any(|key| is_by(key, timestamp, token, &signature));
    if !signatures.into_iter().any(by_any) {
        return None;
    }
    Some(Signed { timestamp: Duration::from_secs(timestamp.parse().ok()?), token: token.to_owned() })
}

/// In constant time.
fn is_by(key: &SecretString, timestamp: &str, token: &str, signature: &[u8]) -> bool {
    // HMAC takes keys of any length.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes()) else { return false };
    hmac.update(timestamp.as_bytes());
    hmac.update(token.as_bytes());
    hmac.verify_slice(signature).is_ok()
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
