//! Seals links, so that one can wait in the database for its retry: XChaCha20-Poly1305 under `LINK_SEALING_KEY`.
//!
//! A sealed link opens only for the very mail that it was made for: job, recipient, callback URL and Message-Id
//! are bound to it. Its form: version (1 byte), key id (4), nonce (24), ciphertext and tag.

use std::str::FromStr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chacha20poly1305::{
    AeadCore as _, Key as CipherKey, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, OsRng, Payload},
};
use outbox::JobId;
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const KEY_ID_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 24;

type KeyId = [u8; KEY_ID_LENGTH];

/// The keys: the first seals, all open, so that a key can be replaced while links wait.
#[derive(Clone)]
pub struct SealingKeys(Vec<SealingKey>);

#[derive(Clone)]
struct SealingKey {
    /// The beginning of the key's SHA-256: tells keys apart, and nothing about them.
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// The mail that a link belongs to.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// Its job.
    pub job: JobId,
    /// Its recipient.
    pub recipient: &'a str,
    /// Where its link leads.
    pub callback_url: &'a str,
    /// Its Message-Id.
    pub message_id: &'a str,
}

/// Why a sealed link does not open. None of them is worth more than a new link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not in our form.
    #[error("it is not in the form that this version seals in")]
    Form,
    /// Sealed with a key that is not here.
    #[error("its key is not in LINK_SEALING_KEY")]
    UnknownKey,
    /// Changed, or moved from another job.
    #[error("it was changed, or belongs to another mail")]
    Forged,
}

impl SealingKeys {
    /// Seals a link with the first key.
    #[must_use]
    pub fn seal(&self, link: &str, bound: &SealContext<'_>) -> Vec<u8> {
        let key = &self.0[0];
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload { msg: link.as_bytes(), aad: &associated_data(key.id, bound) };
        let ciphertext = key.cipher.encrypt(&nonce, payload).expect("a link is far shorter than the cipher's limit");
        [&[VERSION][..], &key.id, &nonce, &ciphertext].concat()
    }

    /// Opens a link that was sealed for the same mail.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, sealed: &[u8], bound: &SealContext<'_>) -> Result<String, OpenError> {
        let (&version, rest) = sealed.split_first().ok_or(OpenError::Form)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>().ok_or(OpenError::Form)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(OpenError::Form)?;
        if version != VERSION {
            return Err(OpenError::Form);
        }
        let key = self.0.iter().find(|key| key.id == *id).ok_or(OpenError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: &associated_data(key.id, bound) };
        let link = key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| OpenError::Forged)?;
        String::from_utf8(link).map_err(|_| OpenError::Forged)
    }
}

/// Everything that the ciphertext is bound to, each with its length before it: no two mails give the same bytes.
fn associated_data(key: KeyId, bound: &SealContext<'_>) -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        &key,
        bound.job.0.as_bytes(),
        bound.recipient.as_bytes(),
        bound.callback_url.as_bytes(),
        bound.message_id.as_bytes(),
    ];
    let mut data = vec![VERSION];
    for part in parts {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part);
    }
    data
}

impl FromStr for SealingKeys {
    type Err = &'static str;

    /// Reads one or several keys of 32 bytes in base64, comma-separated. Errors show nothing of them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.split(',').map(|key| key.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for SealingKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|_| "is not base64")?;
        let key: [u8; 32] = bytes.try_into().map_err(|_| "is not 32 bytes long")?;
        let hash = Sha256::digest(key);
        let id = hash.first_chunk().copied().ok_or("is not 32 bytes long")?;
        Ok(Self { id, cipher: XChaCha20Poly1305::new(CipherKey::from_slice(&key)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://abc.supabase.co/auth/v1/verify?token=0123&type=magiclink";

    fn keys(seeds: &[u8]) -> SealingKeys {
        let keys: Vec<String> = seeds.iter().map(|seed| BASE64_STANDARD.encode([*seed; 32])).collect();
        keys.join(", ").parse().unwrap()
    }

    fn bound(job: JobId) -> SealContext<'static> {
        SealContext {
            job,
            recipient: "ada@example.com",
            callback_url: "https://portal.example.com/auth/callback",
            message_id: "<1@mg.example.com>",
        }
    }

    #[test]
    fn a_link_opens_for_its_own_mail() {
        let bound = bound(JobId::new());
        let sealed = keys(&[1]).seal(LINK, &bound);
        assert_eq!(keys(&[1]).open(&sealed, &bound), Ok(LINK.to_owned()));
        assert!(!sealed.windows(8).any(|window| window == b"supabase"), "it lies there in clear");
        assert_ne!(keys(&[1]).seal(LINK, &bound), sealed, "a nonce was used twice");
    }

    #[test]
    fn a_link_opens_for_no_other_mail() {
        let bound = bound(JobId::new());
        let sealed = keys(&[1]).seal(LINK, &bound);
        for other in [
            SealContext { job: JobId::new(), ..bound },
            SealContext { recipient: "eve@example.com", ..bound },
            SealContext { callback_url: "https://evil.example.com/auth/callback", ..bound },
            SealContext { message_id: "<2@mg.example.com>", ..bound },
            // The same letters, cut elsewhere.
            SealContext {
                recipient: "ada@example.comh",
                callback_url: "ttps://portal.example.com/auth/callback",
                ..bound
            },
        ] {
            assert_eq!(keys(&[1]).open(&sealed, &other), Err(OpenError::Forged), "{other:?}");
        }
    }

    #[test]
    fn no_byte_of_a_sealed_link_can_be_changed() {
        let bound = bound(JobId::new());
        let sealed = keys(&[1]).seal(LINK, &bound);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(keys(&[1]).open(&changed, &bound).is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(keys(&[1]).open(&sealed[..length], &bound).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn a_replaced_key_still_opens_while_it_is_listed() {
        let bound = bound(JobId::new());
        let sealed = keys(&[1]).seal(LINK, &bound);
        assert_eq!(keys(&[2, 1]).open(&sealed, &bound), Ok(LINK.to_owned()));
        assert_eq!(keys(&[2]).open(&sealed, &bound), Err(OpenError::UnknownKey));
        let sealed_with_the_new = keys(&[2, 1]).seal(LINK, &bound);
        assert_eq!(keys(&[2]).open(&sealed_with_the_new, &bound), Ok(LINK.to_owned()));
    }

    #[test]
    fn a_key_is_32_bytes_of_base64() {
        for text in ["", "AAAA", "not base64!", &format!("{},", BASE64_STANDARD.encode([0; 32]))] {
            assert!(text.parse::<SealingKeys>().is_err(), "{text}");
        }
    }
}
