//! The parts of a sign-in link. The outbox stores them sealed, so that any worker can mail the same link again, even
//! after a change of settings.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// The parts of a link. Has no `Debug`, because anybody who has the token hash or the code can sign in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkParts {
    /// The URL at which Supabase verifies a token, without a query: `https://abc.supabase.co/auth/v1/verify`.
    pub verify_url: String,
    /// Supabase's `hashed_token`.
    pub token_hash: String,
    /// Supabase's verification type: `magiclink`, or `signup` for a new user.
    pub kind: String,
    /// The one-time code, if the mail shows it.
    pub code: Option<String>,
    /// The portal's callback URL, where the person arrives after signing in.
    pub callback_url: String,
    /// When the link was requested from Supabase.
    pub created_at: DateTime<Utc>,
    /// When the link and the code expire.
    pub expires_at: DateTime<Utc>,
    /// What the mail's link leads to.
    pub form: LinkForm,
    /// The version of the mail's templates.
    pub template: u8,
    /// The id of the look: templates, words and the portal's brand. `None` in links that an earlier version of the
    /// worker sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<String>,
}

/// What the link in a mail leads to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "style", rename_all = "snake_case")]
pub enum LinkForm {
    /// The api's confirm page.
    Confirm {
        /// The `PUBLIC_URL` at the time of the first mail.
        public_url: String,
        /// The id of the `CONFIRM_KEY` that encrypts the link's payload.
        key: [u8; 4],
        /// Whether the payload contains the recipient's address. Without the address, the link is shorter.
        names_recipient: bool,
    },
    /// Supabase's verify URL.
    Verify,
    /// The portal's callback, with the token hash in its query.
    TokenHash,
    /// No link: the mail contains only a code.
    Code,
}

impl LinkParts {
    /// How long the link works, counted from `created_at`.
    pub(crate) fn lifetime(&self) -> Duration {
        (self.expires_at - self.created_at).to_std().unwrap_or_default()
    }

    /// The plaintext to seal. A new field needs a default, because stored links do not contain it. A field must not be
    /// renamed or removed while stored links still contain it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("every field can be represented in JSON")
    }

    /// `None` if a field is missing or malformed. Unknown fields are ignored.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

/// Example parts for tests.
#[cfg(test)]
pub(super) fn example() -> LinkParts {
    let created_at: DateTime<Utc> = "2026-11-23T13:05:30.123456789Z".parse().unwrap();
    LinkParts {
        verify_url: "https://abc.supabase.co/auth/v1/verify".to_owned(),
        token_hash: "0123456789abcdef0123456789abcdef0123456789abcdef01234567".to_owned(),
        kind: "magiclink".to_owned(),
        code: Some("4081726359".to_owned()),
        callback_url: "https://portal.example.com/auth/callback?next=%2Fprojects%2F42".to_owned(),
        created_at,
        expires_at: created_at + chrono::TimeDelta::hours(1),
        form: LinkForm::Verify,
        template: 1,
        look: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_every_form_can_be_read_back() {
        let confirm = LinkForm::Confirm {
            public_url: "https://login.example.com".to_owned(),
            key: [0, 1, 254, 255],
            names_recipient: false,
        };
        for form in [confirm, LinkForm::Verify, LinkForm::TokenHash, LinkForm::Code] {
            let look = matches!(form, LinkForm::Code).then(|| "0123456789abcdef".to_owned());
            let parts = LinkParts { form, look, ..example() };
            assert!(LinkParts::from_bytes(&parts.to_bytes()) == Some(parts.clone()));
            assert_eq!(parts.lifetime(), Duration::from_hours(1));
        }
    }

    /// Links remain stored during an upgrade, so later versions must still be able to read this JSON.
    #[test]
    fn stored_parts_stay_readable() {
        let stored = br#"{"verify_url":"https://abc.supabase.co/auth/v1/verify",
            "token_hash":"0123456789abcdef0123456789abcdef0123456789abcdef01234567","kind":"magiclink","code":"4081726359",
            "callback_url":"https://portal.example.com/auth/callback?next=%2Fprojects%2F42",
            "created_at":"2026-11-23T13:05:30.123456789Z","expires_at":"2026-11-23T14:05:30.123456789Z",
            "form":{"style":"confirm","public_url":"https://login.example.com","key":[1,2,3,4],"names_recipient":true},
            "template":1,"added_later":true}"#;
        let form = LinkForm::Confirm {
            public_url: "https://login.example.com".to_owned(),
            key: [1, 2, 3, 4],
            names_recipient: true,
        };
        assert!(LinkParts::from_bytes(stored) == Some(LinkParts { form, ..example() }));
    }

    #[test]
    fn parts_with_an_unknown_form_are_rejected() {
        let bytes = String::from_utf8(example().to_bytes()).unwrap().replace("\"verify\"", "\"pigeon\"");
        assert!(LinkParts::from_bytes(bytes.as_bytes()).is_none());
    }
}
