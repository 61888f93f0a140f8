//! Encrypts links with XChaCha20-Poly1305 and `LINK_SEALING_KEY`, so that they can be stored in the database for
//! retries.
//!
//! A sealed link can be opened only for the mail for which it was created: the job, recipient, callback URL and
//! Message-Id are authenticated. Format: version (1 byte), key id (4 bytes), nonce (24 bytes), ciphertext and tag. In
//! version 1, the plaintext is the link itself. In version 2, the plaintext contains the parts of the link. New links
//! use version 2.

use std::str::FromStr;

use chacha20poly1305::{
    AeadCore as _, Key as CipherKey, KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, OsRng, Payload},
};
use outbox::JobId;
use program::{KEY_ID_LENGTH, KeyId, SecretKey, parse_keys};
use sha2::{Digest as _, Sha256};

use super::link_parts::LinkParts;

/// The plaintext is the link itself.
const VERSION_TEXT: u8 = 1;
/// The plaintext contains the parts of the link.
const VERSION_PARTS: u8 = 2;
const NONCE_LENGTH: usize = 24;

/// The sealing keys. The first key seals new links, and every key can open links, so that a key can be replaced while
/// sealed links wait in the database.
#[derive(Clone)]
pub struct SealingKeys(Vec<SealingKey>);

#[derive(Clone)]
struct SealingKey {
    id: KeyId,
    cipher: XChaCha20Poly1305,
}

/// The mail that a link belongs to. A sealed link can be opened only with the same context.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// The job.
    pub job: JobId,
    /// The recipient's address.
    pub recipient: &'a str,
    /// The URL that the link leads to.
    pub callback_url: &'a str,
    /// The Message-Id of the mail.
    pub message_id: &'a str,
}

/// An opened link. Has no `Debug`, because anybody who has the link can sign in.
#[derive(PartialEq, Eq)]
pub enum OpenedLink {
    /// A complete link to Supabase, sealed by an earlier version of the worker.
    Text(String),
    /// The parts of a link.
    Parts(Box<LinkParts>),
}

/// Why a sealed link cannot be opened. In each case, the worker requests a new link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The bytes do not have the expected format or version.
    #[error("the format or version of the sealed link is not supported")]
    Format,
    /// The link was sealed with a key that is not in `LINK_SEALING_KEY`.
    #[error("the sealed link needs a key that is not in LINK_SEALING_KEY")]
    UnknownKey,
    /// The bytes were changed, or the link belongs to another mail.
    #[error("the sealed link was changed or belongs to another mail")]
    Forged,
}

impl SealingKeys {
    /// The keys' ids, in order. The ids do not reveal the keys.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        self.0.iter().map(|key| key.id.to_string()).collect()
    }

    /// Seals a link with the first key.
    #[must_use]
    pub fn seal(&self, link: &LinkParts, context: &SealContext<'_>) -> Vec<u8> {
        self.seal_bytes(VERSION_PARTS, &link.to_bytes(), context)
    }

    fn seal_bytes(&self, version: u8, plaintext: &[u8], context: &SealContext<'_>) -> Vec<u8> {
        let key = &self.0[0];
        let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
        let payload = Payload { msg: plaintext, aad: &associated_data(version, key.id, context) };
        let ciphertext = key.cipher.encrypt(&nonce, payload).expect("a link is far shorter than the cipher's limit");
        [&[version][..], &key.id.0, &nonce, &ciphertext].concat()
    }

    /// Whether new links are sealed with the README's example key: 32 zero bytes.
    #[must_use]
    pub fn seals_with_example_key(&self) -> bool {
        self.0[0].id.0[..] == Sha256::digest([0; 32])[..KEY_ID_LENGTH]
    }

    /// Opens a link that was sealed with the same context.
    ///
    /// # Errors
    /// [`OpenError`] if the link cannot be opened.
    pub fn open(&self, sealed: &[u8], context: &SealContext<'_>) -> Result<OpenedLink, OpenError> {
        let (&version, rest) = sealed.split_first().ok_or(OpenError::Format)?;
        let (id, rest) = rest.split_first_chunk::<KEY_ID_LENGTH>().ok_or(OpenError::Format)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(OpenError::Format)?;
        if ![VERSION_TEXT, VERSION_PARTS].contains(&version) {
            return Err(OpenError::Format);
        }
        let key = self.0.iter().find(|key| key.id.0 == *id).ok_or(OpenError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: &associated_data(version, key.id, context) };
        let plaintext = key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| OpenError::Forged)?;
        match version {
            VERSION_TEXT => String::from_utf8(plaintext).map(OpenedLink::Text).map_err(|_| OpenError::Format),
            // Opening fails if a later version of the worker sealed a form of link that this version does not
            // support.
            _ => {
                LinkParts::from_bytes(&plaintext).map(|parts| OpenedLink::Parts(parts.into())).ok_or(OpenError::Format)
            }
        }
    }
}

/// The data that is authenticated with the ciphertext. Each part is preceded by its length, so that two different
/// contexts never produce the same bytes.
fn associated_data(version: u8, key: KeyId, context: &SealContext<'_>) -> Vec<u8> {
    let parts: [&[u8]; 5] = [
        &key.0,
        context.job.0.as_bytes(),
        context.recipient.as_bytes(),
        context.callback_url.as_bytes(),
        context.message_id.as_bytes(),
    ];
    let mut data = vec![version];
    for part in parts {
        data.extend((part.len() as u64).to_be_bytes());
        data.extend(part);
    }
    data
}

impl FromStr for SealingKeys {
    type Err = &'static str;

    /// Parses one or more comma-separated keys, each 32 bytes in base64. Error messages never contain a key.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seals = |key: SecretKey| SealingKey {
            id: key.id,
            cipher: XChaCha20Poly1305::new(CipherKey::from_slice(&key.bytes)),
        };
        Ok(Self(parse_keys(text)?.into_iter().map(seals).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::link_parts::example;
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    fn keys(seeds: &[u8]) -> SealingKeys {
        let keys: Vec<String> = seeds.iter().map(|seed| BASE64_STANDARD.encode([*seed; 32])).collect();
        keys.join(", ").parse().unwrap()
    }

    fn context(job: JobId) -> SealContext<'static> {
        SealContext {
            job,
            recipient: "ada@example.com",
            callback_url: "https://portal.example.com/auth/callback",
            message_id: "<1@mg.example.com>",
        }
    }

    fn is_example(opened: Result<OpenedLink, OpenError>) -> bool {
        opened.is_ok_and(|link| link == OpenedLink::Parts(example().into()))
    }

    #[test]
    fn the_readmes_example_key_is_recognised_if_it_seals_new_links() {
        assert!(keys(&[0]).seals_with_example_key() && keys(&[0, 1]).seals_with_example_key());
        assert!(!keys(&[1]).seals_with_example_key() && !keys(&[1, 0]).seals_with_example_key());
    }

    #[test]
    fn a_sealed_link_opens_with_the_context_of_its_mail() {
        let context = context(JobId::new());
        let sealed = keys(&[1]).seal(&example(), &context);
        assert!(is_example(keys(&[1]).open(&sealed, &context)));
        assert!(!sealed.windows(8).any(|window| window == b"supabase"), "the link is not encrypted");
        assert_ne!(keys(&[1]).seal(&example(), &context), sealed, "a nonce was used twice");
    }

    #[test]
    fn a_sealed_link_does_not_open_with_another_context() {
        let context = context(JobId::new());
        let sealed = keys(&[1]).seal(&example(), &context);
        for other in [
            SealContext { job: JobId::new(), ..context },
            SealContext { recipient: "eve@example.com", ..context },
            SealContext { callback_url: "https://evil.example.com/auth/callback", ..context },
            SealContext { message_id: "<2@mg.example.com>", ..context },
            // Together, the recipient and the callback URL contain the same bytes as in `context`, but divided
            // differently.
            SealContext {
                recipient: "ada@example.comh",
                callback_url: "ttps://portal.example.com/auth/callback",
                ..context
            },
        ] {
            assert_eq!(keys(&[1]).open(&sealed, &other).err(), Some(OpenError::Forged), "{other:?}");
        }
    }

    #[test]
    fn a_changed_or_truncated_sealed_link_does_not_open() {
        let context = context(JobId::new());
        let sealed = keys(&[1]).seal(&example(), &context);
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(keys(&[1]).open(&changed, &context).is_err(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(keys(&[1]).open(&sealed[..length], &context).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn an_old_key_opens_links_while_it_is_listed() {
        let context = context(JobId::new());
        let sealed = keys(&[1]).seal(&example(), &context);
        assert!(is_example(keys(&[2, 1]).open(&sealed, &context)));
        assert_eq!(keys(&[2]).open(&sealed, &context).err(), Some(OpenError::UnknownKey));
        let sealed_with_new_key = keys(&[2, 1]).seal(&example(), &context);
        assert!(is_example(keys(&[2]).open(&sealed_with_new_key, &context)));
    }

    #[test]
    fn a_version_1_link_opens_as_plain_text() {
        // A link in the format of version 1, sealed with the job and the context below.
        let sealed = "AXLNboQAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcQpK/17qv4p4IkCWZnRwbRl9fvq9Yo7/1BeY/ZwAoiTMe2POCmxx+OHUXMroei\
                      WfH8QdLrKcjeWDZai4Iccxe3Nkyvuk3s8BbVYPg+w8Op/A==";
        let job = JobId("01931c2e-7a00-7000-8000-000000000001".parse().unwrap());
        let opened = keys(&[1]).open(&BASE64_STANDARD.decode(sealed).unwrap(), &context(job));
        let link = "https://abc.supabase.co/auth/v1/verify?token=0123&type=magiclink".to_owned();
        assert!(opened.is_ok_and(|opened| opened == OpenedLink::Text(link)));
    }

    #[test]
    fn a_link_in_an_unknown_format_does_not_open() {
        let context = context(JobId::new());
        for (version, plaintext) in [(VERSION_PARTS, &b"{}"[..]), (VERSION_PARTS, b""), (3, b"{}"), (0, b"")] {
            let sealed = keys(&[1]).seal_bytes(version, plaintext, &context);
            assert_eq!(keys(&[1]).open(&sealed, &context).err(), Some(OpenError::Format), "{version}");
        }
    }

    #[test]
    fn a_malformed_key_is_rejected() {
        for text in ["", "AAAA", "not base64!", &format!("{},", BASE64_STANDARD.encode([0; 32]))] {
            assert!(text.parse::<SealingKeys>().is_err(), "{text}");
        }
    }
}
