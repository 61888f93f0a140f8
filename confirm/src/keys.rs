//! `CONFIRM_KEY`, and the payloads of confirm links, which are encrypted with it.
//!
//! A payload is the base64url encoding, without padding, of: version (1 byte), key id (4 bytes), nonce (24 bytes),
//! ciphertext and tag (XChaCha20-Poly1305). The nonce is an HMAC of the content, so the same content always gives the
//! same payload with the same key: a retry mails exactly the same link, whichever worker runs it.

use std::str::FromStr;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::{
    Key as CipherKey, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use hmac::{Hmac, Mac};
use program::{KEY_ID_LENGTH, KeyId, SecretKey, parse_keys};
use sha2::{Digest as _, Sha256};

use super::{content::Content, mend::mend};

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;
/// Maximum length, in bytes, of the text passed to `decode`. A link has at most 2,000 characters. The rest of this
/// limit leaves room for characters that mail programs add.
const LONGEST_TEXT: usize = 8 * 1024;

/// The keys. The first key encrypts new payloads, and every key can decrypt payloads, so that a key can be replaced
/// while links that were made with it are still in inboxes. Does not implement `Debug`.
#[derive(Clone)]
pub struct ConfirmKeys(Vec<ConfirmKey>);

#[derive(Clone)]
struct ConfirmKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
    /// Derives nonces. The HMAC's key differs from the cipher's key, because a key should serve only one purpose.
    nonces: Hmac<Sha256>,
}

/// Why [`ConfirmKeys::decode`] failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is cut off, too long, or not a payload at all.
    #[error("the text is not the last part of a confirm link, or it is cut off")]
    Format,
    /// The payload was encrypted with a key that is not in `CONFIRM_KEY`.
    #[error("the confirm link was encrypted with a key that is not in CONFIRM_KEY")]
    UnknownKey,
    /// The payload was changed.
    #[error("the confirm link was changed")]
    Forged,
}

impl ConfirmKeys {
    /// The keys' ids in hexadecimal, in the order of `CONFIRM_KEY`.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.to_string()).collect()
    }

    /// The id of the key that encrypts new payloads.
    #[must_use]
    pub fn current(&self) -> KeyId {
        self.0[0].id
    }

    /// Encrypts `content` with the key whose id is `key`, and returns the payload. `None` if that key is not listed, or
    /// if a field is 64 KiB or longer.
    #[must_use]
    pub fn encode(&self, content: &Content, key: KeyId) -> Option<String> {
        let key = self.0.iter().find(|known| known.id == key)?;
        let bytes = content.to_bytes()?;
        let digest = key.nonces.clone().chain_update(&bytes).finalize().into_bytes();
        let nonce = &digest[..NONCE_LENGTH];
        let payload = Payload { msg: &bytes, aad: &associated_data(key.id) };
        // Encryption fails only for content of about 256 GiB or more.
        let ciphertext = key.cipher.encrypt(XNonce::from_slice(nonce), payload).ok()?;
        Some(BASE64_URL_SAFE_NO_PAD.encode([&[VERSION][..], &key.id.0, nonce, &ciphertext].concat()))
    }

    /// Decodes a payload from a URL's path, after removing what mail programs add to links.
    ///
    /// # Errors
    /// [`DecodeError`] if the text is not a payload that was encrypted with one of these keys.
    pub fn decode(&self, text: &str) -> Result<Content, DecodeError> {
        if text.len() > LONGEST_TEXT {
            return Err(DecodeError::Format);
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&*mend(text)).map_err(|_| DecodeError::Format)?;
        let (&version, rest) = bytes.split_first().ok_or(DecodeError::Format)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>().ok_or(DecodeError::Format)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(DecodeError::Format)?;
        if version != VERSION {
            return Err(DecodeError::Format);
        }
        let key = self.0.iter().find(|key| key.id.0 == *id).ok_or(DecodeError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: &associated_data(key.id) };
        let content = key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| DecodeError::Forged)?;
        Content::from_bytes(&content).ok_or(DecodeError::Forged)
    }
}

/// The data that is authenticated together with the ciphertext: the purpose, the version and the key id.
fn associated_data(key: KeyId) -> Vec<u8> {
    [b"confirm link".as_slice(), &[VERSION], &key.0].concat()
}

impl FromStr for ConfirmKeys {
    type Err = &'static str;

    /// Parses one or more comma-separated keys, each 32 bytes in base64. Error messages never contain a key.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(parse_keys(text)?.iter().map(ConfirmKey::new).collect()))
    }
}

impl ConfirmKey {
    fn new(SecretKey { id, bytes }: &SecretKey) -> Self {
        let nonce_key = Sha256::new().chain_update(b"confirm link nonce").chain_update(bytes).finalize();
        let nonces = <Hmac<Sha256> as Mac>::new_from_slice(&nonce_key).expect("HMAC accepts keys of any length");
        Self { id: *id, cipher: XChaCha20Poly1305::new(CipherKey::from_slice(bytes)), nonces }
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::Expiry;

    fn keys(seeds: &[u8]) -> ConfirmKeys {
        let keys: Vec<String> = seeds.iter().map(|seed| BASE64_STANDARD.encode([*seed; 32])).collect();
        keys.join(", ").parse().unwrap_or_else(|error: &str| panic!("{error}"))
    }

    fn content() -> Content {
        Content {
            verify_url: "https://abcdefghijklmnopqrst.supabase.co/auth/v1/verify".to_owned(),
            token_hash: "0123456789abcdef0123456789abcdef0123456789abcdef01234567".to_owned(),
            recipient: Some("ann@example.com".to_owned()),
            callback_url: "https://portal.example.com/auth/callback?next=%2Fprojects%2F42".to_owned(),
            shown_host: "portal.example.com".to_owned(),
            has_code: true,
            language: None,
            expires_at: Expiry(1_800_000_000),
        }
    }

    fn payload(keys: &ConfirmKeys) -> String {
        keys.encode(&content(), keys.current()).unwrap()
    }

    fn error(result: Result<Content, DecodeError>) -> Option<DecodeError> {
        result.err()
    }

    #[test]
    fn a_payload_decodes_to_its_content_and_reveals_none_of_it() {
        let keys = keys(&[1]);
        let payload = payload(&keys);
        assert!(keys.decode(&payload) == Ok(content()));
        assert!(payload.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{payload}");
        assert_eq!(payload.len(), 336, "short enough for every mail program");
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&payload).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"supabase"), "the content is not encrypted");
    }

    #[test]
    fn the_same_content_gives_the_same_payload_and_different_content_a_different_nonce() {
        let keys = keys(&[1]);
        assert_eq!(payload(&keys), payload(&keys));
        let other = keys.encode(&Content { has_code: false, ..content() }, keys.current()).unwrap();
        assert_ne!(payload(&keys)[..40], other[..40]);
    }

    #[test]
    fn every_truncated_or_altered_payload_is_refused() {
        let keys = keys(&[1]);
        let payload = payload(&keys);
        for length in 0..payload.len() {
            assert!(keys.decode(&payload[..length]).is_err(), "cut to {length}");
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&payload).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let changed = BASE64_URL_SAFE_NO_PAD.encode(changed);
            assert!(keys.decode(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_payload_with_an_unlisted_key_is_refused_and_an_old_key_can_still_decrypt() {
        let old = payload(&keys(&[1]));
        assert_eq!(error(keys(&[2]).decode(&old)), Some(DecodeError::UnknownKey));
        let both = keys(&[2, 1]);
        assert!(both.decode(&old) == Ok(content()));
        // A retry uses the same key as the first mail, so it produces the same payload.
        assert_eq!(both.encode(&content(), keys(&[1]).current()), Some(old));
        assert_eq!(keys(&[2]).encode(&content(), keys(&[1]).current()), None);
    }

    #[test]
    fn characters_that_mail_programs_add_are_ignored() {
        let keys = keys(&[1]);
        let payload = payload(&keys);
        let (first, second) = payload.split_at(76);
        for text in
            [format!("{payload}>"), format!("{payload}."), format!("{payload}%20"), format!("{first}%0D%0A{second}")]
        {
            assert!(keys.decode(&text) == Ok(content()), "{text}");
        }
        assert!(keys.decode(&payload.to_uppercase()).is_err(), "letters of the wrong case cannot be repaired");
    }

    #[test]
    fn a_huge_payload_is_refused_without_decoding() {
        assert_eq!(error(keys(&[1]).decode(&"A".repeat(100 * 1024))), Some(DecodeError::Format));
    }

    #[test]
    fn a_malformed_key_is_rejected() {
        for text in ["", "AAAA", "not base64!", &format!("{},", BASE64_STANDARD.encode([0; 32]))] {
            assert!(text.parse::<ConfirmKeys>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_is_refused_without_a_panic(text in ".*") {
            prop_assert!(keys(&[1]).decode(&text).is_err());
        }
    }
}
