//! The content of a payload, which is the last segment of a confirm link.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fields::{self, Reader, Tag};

/// When a link expires, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Expiry(pub u64);

impl Expiry {
    /// Whether the link has expired by `now`.
    #[must_use]
    pub fn has_passed(self, now: SystemTime) -> bool {
        now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs() >= self.0
    }
}

/// Everything that the confirm page needs. Does not implement `Debug`, because anyone with the token hash can sign in.
#[derive(Clone, PartialEq, Eq)]
pub struct Content {
    /// The URL at which Supabase verifies a token, without a query: `https://project.supabase.co/auth/v1/verify`.
    pub verify_url: String,
    /// Supabase's `hashed_token`.
    pub token_hash: String,
    /// The recipient's address. `None` if including the address would make the link too long.
    pub recipient: Option<String>,
    /// The URL that Supabase redirects the person to.
    pub callback_url: String,
    /// The portal's host as the page shows it: `portal.example.com`.
    pub shown_host: String,
    /// Whether the mail also shows a one-time code.
    pub has_code: bool,
    /// The language tag of the mail, for the page: `de`. `None` for English.
    pub language: Option<String>,
    /// When the link expires.
    pub expires_at: Expiry,
}

impl Content {
    /// Encodes the fields in a compact binary form. `None` if a field is too long.
    pub(crate) fn to_bytes(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![];
        fields::push(&mut bytes, Tag::VerifyUrl, self.verify_url.as_bytes())?;
        match hash_from_hex(&self.token_hash) {
            // The decoded hash takes up half as much space as its hexadecimal digits.
            Some(hash) => fields::push(&mut bytes, Tag::TokenHash, &hash)?,
            None => fields::push(&mut bytes, Tag::TokenText, self.token_hash.as_bytes())?,
        }
        if let Some(recipient) = &self.recipient {
            fields::push(&mut bytes, Tag::Recipient, recipient.as_bytes())?;
        }
        fields::push(&mut bytes, Tag::CallbackUrl, self.callback_url.as_bytes())?;
        fields::push(&mut bytes, Tag::ShownHost, self.shown_host.as_bytes())?;
        if self.has_code {
            fields::push(&mut bytes, Tag::HasCode, &[])?;
        }
        if let Some(language) = &self.language {
            fields::push(&mut bytes, Tag::Language, language.as_bytes())?;
        }
        fields::push(&mut bytes, Tag::ExpiresAt, &self.expires_at.0.to_be_bytes())?;
        Some(bytes)
    }

    /// Decodes the fields. `None` if a field is missing or malformed. Unknown fields are ignored.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let fields: Reader = Reader::parse(bytes)?;
        let hash = fields.get(Tag::TokenHash).map(hex);
        Some(Self {
            verify_url: fields.text(Tag::VerifyUrl)?,
            token_hash: hash.or_else(|| fields.text(Tag::TokenText))?,
            recipient: fields.text(Tag::Recipient),
            callback_url: fields.text(Tag::CallbackUrl)?,
            shown_host: fields.text(Tag::ShownHost)?,
            has_code: fields.get(Tag::HasCode).is_some(),
            language: fields.text(Tag::Language),
            expires_at: Expiry(u64::from_be_bytes(fields.get(Tag::ExpiresAt)?.try_into().ok()?)),
        })
    }
}

/// Decodes lower-case hexadecimal digits. `None` for any other text. Upper-case digits are not decoded, because `hex`
/// would not restore them.
fn hash_from_hex(text: &str) -> Option<Vec<u8>> {
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if !text.len().is_multiple_of(2) || !text.bytes().all(is_hex) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn encoded_content_decodes_to_the_same_content(
            verify_url in ".{0,80}", token_hash in prop_oneof!["[0-9a-f]{56}", "[0-9a-fA-F]{0,60}", ".{0,60}"],
            recipient in proptest::option::of(".{0,80}"), callback_url in ".{0,300}", shown_host in ".{0,80}",
            has_code: bool, language in proptest::option::of(".{0,20}"), expires_at: u64,
        ) {
            let content = Content {
                verify_url,
                token_hash,
                recipient,
                callback_url,
                shown_host,
                has_code,
                language,
                expires_at: Expiry(expires_at),
            };
            prop_assert!(Content::from_bytes(&content.to_bytes().unwrap()) == Some(content));
        }

        #[test]
        fn decoding_arbitrary_bytes_never_panics(bytes: Vec<u8>) {
            Content::from_bytes(&bytes);
        }
    }

    /// Links mailed by a version without languages may still be in people's inboxes.
    #[test]
    fn content_from_a_version_without_languages_is_in_english() {
        let stored = b"\x01\0\x16https://a.example/auth\x03\0\x01x\x05\0\x12https://b.example/\x06\0\x09b.example\
                       \x08\0\x08\0\0\0\0\0\0\0\x01";
        let content = Content {
            verify_url: "https://a.example/auth".to_owned(),
            token_hash: "x".to_owned(),
            recipient: None,
            callback_url: "https://b.example/".to_owned(),
            shown_host: "b.example".to_owned(),
            has_code: false,
            language: None,
            expires_at: Expiry(1),
        };
        assert!(Content::from_bytes(stored) == Some(content.clone()));
        // Payloads for English mails have no language field, so they are encoded as before languages were added.
        assert_eq!(content.to_bytes().unwrap(), stored);
    }

    #[test]
    fn a_link_expires_exactly_at_its_expiry_time() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert!(!Expiry(100).has_passed(at(99)));
        assert!(Expiry(100).has_passed(at(100)));
        assert!(!Expiry(100).has_passed(UNIX_EPOCH - Duration::from_secs(1)));
    }
}
