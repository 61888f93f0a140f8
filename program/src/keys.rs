//! Keys in settings: 32 bytes in base64. While an operator replaces a key, the setting contains several keys, separated
//! by commas.

use std::fmt::{self, Display, Formatter};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// Length of a [`KeyId`] in bytes.
pub const KEY_ID_LENGTH: usize = 4;

/// The first bytes of a key's SHA-256. They identify the key without revealing it, and are shown as hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; KEY_ID_LENGTH]);

/// A key. It does not implement `Debug`, so that it cannot be logged by mistake.
pub struct SecretKey {
    /// Identifies the key.
    pub id: KeyId,
    /// The key itself.
    pub bytes: [u8; 32],
}

impl Display for KeyId {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Parses one or more keys.
///
/// # Errors
/// What is wrong with the first bad key. The message never contains a key.
pub fn parse_keys(text: &str) -> Result<Vec<SecretKey>, &'static str> {
    text.split(',').map(|key| parse_key(key.trim())).collect()
}

fn parse_key(text: &str) -> Result<SecretKey, &'static str> {
    let bytes = BASE64_STANDARD.decode(text).map_err(|_| "is not base64")?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| "is not 32 bytes long")?;
    let hash: [u8; 32] = Sha256::digest(bytes).into();
    let [first, second, third, fourth, ..] = hash;
    Ok(SecretKey { id: KeyId([first, second, third, fourth]), bytes })
}
