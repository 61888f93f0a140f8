//! Mailgun's webhook signature: the HMAC-SHA256 of the timestamp and the token, in hex. It does not cover the event
//! itself.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::time::{SystemTime, UNIX_EPOCH};

/// A webhook's body: the event, and a signature over the current time and a new token.
pub fn signed(key: &str, event_data: &Value) -> Value {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (timestamp, token) = (seconds.to_string(), hex(&rand::random::<[u8; 25]>()));
    let signature = signature(key, &timestamp, &token);
    json!({
        "signature": {"timestamp": timestamp, "token": token, "signature": signature},
        "event-data": event_data,
    })
}

fn signature(key: &str, timestamp: &str, token: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC accepts keys of any length");
    mac.update(timestamp.as_bytes());
    mac.update(token.as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mailgun-go's verifier and Node's crypto both accept this signature.
    #[test]
    fn the_signature_matches_other_implementations() {
        let token = "17b9639c99eebb8bf27dc599a4ae762accf05843cd8d926270";
        assert_eq!(
            signature("whsec-for-tests-only-0123456789abcdef", "1789732803", token),
            "526760d043f203e8c7dc1d86437e452b4942174faecddd2f3e91093045522e7a"
        );
    }
}
