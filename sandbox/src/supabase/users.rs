//! The stand-in's users and their live tokens, at most one of each kind per user. Using a token also invalidates the
//! user's token of the other kind, with one exception: after a confirmation, the recovery code still works
//! (models/one_time_token.go; also observed).

use super::answer::AuthError;
use chrono::{DateTime, SecondsFormat, Utc};
use poem::http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha224};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    time::Duration,
};
use uuid::Uuid;

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// The account's id.
    pub id: Uuid,
    /// The address, in lower case.
    pub email: String,
    /// When the account was created.
    pub created_at: DateTime<Utc>,
    /// When the address was confirmed: at the first sign-in, or when the account was created with a confirmed address.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// When the user last signed in, with a link or a code.
    pub last_sign_in_at: Option<DateTime<Utc>>,
    /// When the user's ban ends. A banned user's links do not work.
    pub banned_until: Option<DateTime<Utc>>,
    metadata: Map<String, Value>,
    updated_at: DateTime<Utc>,
    identity_id: Uuid,
    confirmation: TokenSlot,
    recovery: TokenSlot,
}

/// A user's newest token of a kind, and when it was created.
#[derive(Clone, Debug, Default)]
struct TokenSlot {
    token: Option<Token>,
    sent_at: Option<DateTime<Utc>>,
    /// Whether the link no longer works, but the one-time code still does.
    is_code_only: bool,
}

impl TokenSlot {
    fn takes(&self, email: &str, proof: Proof<'_>, lifetime: Duration) -> bool {
        let (Some(token), Some(sent_at)) = (&self.token, self.sent_at) else {
            return false;
        };
        let is_right = match proof {
            Proof::Hash(hash) => !self.is_code_only && token.hash == hash,
            Proof::Code { email: given, otp } => given == email && token.otp == otp,
        };
        is_right && (Utc::now() - sent_at).to_std().unwrap_or_default() <= lifetime
    }
}

/// A credential with which a user signs in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Proof<'a> {
    /// The hash that a link contains.
    Hash(&'a str),
    /// An address and its one-time code.
    Code { email: &'a str, otp: &'a str },
}

/// The two kinds of token that links contain. Recovery links and magic links share one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Confirmation,
    Recovery,
}

impl TokenKind {
    /// The kinds of token that a verification type accepts.
    pub(super) fn of_type(verification_type: &str) -> Option<&'static [TokenKind]> {
        match verification_type {
            "signup" | "invite" => Some(&[TokenKind::Confirmation]),
            "magiclink" | "recovery" => Some(&[TokenKind::Recovery]),
            "email" => Some(&[TokenKind::Confirmation, TokenKind::Recovery]),
            _ => None,
        }
    }
}

/// A token: the one-time code for a person to type, and the hash that the link contains.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) otp: String,
    pub(super) hash: String,
}

impl User {
    fn new(email: &str, metadata: Map<String, Value>) -> User {
        let now = Utc::now();
        User {
            id: random_id(),
            email: email.to_owned(),
            created_at: now,
            confirmed_at: None,
            last_sign_in_at: None,
            banned_until: None,
            metadata,
            updated_at: now,
            identity_id: random_id(),
            confirmation: TokenSlot::default(),
            recovery: TokenSlot::default(),
        }
    }

    fn issue(&mut self, kind: TokenKind, digits: usize) -> Token {
        let otp: String = std::iter::repeat_with(|| char::from(rand::random_range(b'0'..=b'9'))).take(digits).collect();
        let hash = hex(&Sha224::digest(format!("{}{otp}", self.email)));
        let now = Utc::now();
        self.updated_at = now;
        let token = Token { otp, hash };
        *self.slot(kind) = TokenSlot { token: Some(token.clone()), sent_at: Some(now), is_code_only: false };
        token
    }

    /// The one-time codes that have not been used or replaced.
    pub(super) fn live_codes(&self) -> impl Iterator<Item = &str> {
        [&self.confirmation, &self.recovery]
            .into_iter()
            .filter_map(|slot| slot.token.as_ref())
            .map(|token| token.otp.as_str())
    }

    /// The token hashes of the links that have not been used or replaced.
    pub(super) fn live_token_hashes(&self) -> impl Iterator<Item = &str> {
        [&self.confirmation, &self.recovery]
            .into_iter()
            .filter(|slot| !slot.is_code_only)
            .filter_map(|slot| slot.token.as_ref())
            .map(|token| token.hash.as_str())
    }

    fn slot(&mut self, kind: TokenKind) -> &mut TokenSlot {
        match kind {
            TokenKind::Confirmation => &mut self.confirmation,
            TokenKind::Recovery => &mut self.recovery,
        }
    }

    fn takes(&self, kind: TokenKind, proof: Proof<'_>, lifetime: Duration) -> bool {
        let slot = match kind {
            TokenKind::Confirmation => &self.confirmation,
            TokenKind::Recovery => &self.recovery,
        };
        slot.takes(&self.email, proof, lifetime)
    }

    /// Signs the user in, which uses up the token. A confirmation also invalidates the recovery link, but not its code.
    /// A recovery also invalidates the confirmation link and its code.
    fn sign_in(&mut self, kind: TokenKind) {
        let now = Utc::now();
        self.confirmed_at.get_or_insert(now);
        self.last_sign_in_at = Some(now);
        self.updated_at = now;
        self.confirmation.token = None;
        match kind {
            TokenKind::Confirmation => self.recovery.is_code_only = true,
            TokenKind::Recovery => self.recovery.token = None,
        }
    }

    pub(super) fn is_banned(&self) -> bool {
        self.banned_until.is_some_and(|until| until > Utc::now())
    }

    /// The user's fields in a response (models/user.go).
    pub(super) fn to_json(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("id".into(), json!(self.id.to_string()));
        fields.insert("aud".into(), json!("authenticated"));
        fields.insert("role".into(), json!("authenticated"));
        fields.insert("email".into(), json!(self.email));
        fields.insert("phone".into(), json!(""));
        fields.insert("app_metadata".into(), json!({"provider": "email", "providers": ["email"]}));
        fields.insert("user_metadata".into(), json!(self.metadata));
        fields.insert("identities".into(), json!([self.identity()]));
        fields.insert("is_anonymous".into(), json!(false));
        for (name, time) in [
            ("created_at", Some(self.created_at)),
            ("updated_at", Some(self.updated_at)),
            ("email_confirmed_at", self.confirmed_at),
            ("confirmed_at", self.confirmed_at),
            ("confirmation_sent_at", self.confirmation.sent_at),
            ("recovery_sent_at", self.recovery.sent_at),
            ("last_sign_in_at", self.last_sign_in_at),
            ("banned_until", self.banned_until),
        ] {
            if let Some(time) = time {
                fields.insert(name.into(), json!(go_time(time)));
            }
        }
        fields
    }

    fn identity(&self) -> Value {
        let created = go_time(self.created_at);
        let id = self.id.to_string();
        json!({
            "identity_id": self.identity_id.to_string(),
            "id": id,
            "user_id": id,
            "identity_data": {
                "email": self.email,
                "email_verified": false,
                "phone_verified": false,
                "sub": id,
            },
            "provider": "email",
            "last_sign_in_at": created,
            "created_at": created,
            "updated_at": created,
            "email": self.email,
        })
    }
}

/// All users.
#[derive(Debug, Default)]
pub(super) struct Users {
    by_email: BTreeMap<String, User>,
    /// Maps the hash of every token that was ever created, valid or not, to its owner's address.
    owners: HashMap<String, String>,
}

impl Users {
    pub(super) fn find(&mut self, email: &str) -> Option<&mut User> {
        self.by_email.get_mut(email)
    }

    pub(super) fn create(&mut self, email: &str, metadata: Map<String, Value>) -> &mut User {
        self.by_email.entry(email.to_owned()).or_insert_with(|| User::new(email, metadata))
    }

    /// Creates a token of this kind, and a user if the address has none. The user's previous token of this kind stops
    /// working.
    pub(super) fn issue(
        &mut self,
        email: &str,
        metadata: Map<String, Value>,
        kind: TokenKind,
        digits: usize,
    ) -> (&User, Token) {
        let token = self.create(email, metadata).issue(kind, digits);
        self.owners.insert(token.hash.clone(), email.to_owned());
        (&self.by_email[email], token)
    }

    /// Whether a link with this token was ever created, even if the link no longer works.
    pub(super) fn have_issued(&self, hash: &str) -> bool {
        self.owners.contains_key(hash)
    }

    /// Whether a link with this token signs its user in.
    pub(super) fn would_sign_in(&self, hash: &str, lifetime: Duration) -> bool {
        let owner = self.owners.get(hash).and_then(|email| self.by_email.get(email));
        owner.is_some_and(|user| {
            let kinds = [TokenKind::Confirmation, TokenKind::Recovery];
            !user.is_banned() && kinds.into_iter().any(|kind| user.takes(kind, Proof::Hash(hash), lifetime))
        })
    }

    pub(super) fn all(&self) -> Vec<User> {
        self.by_email.values().cloned().collect()
    }

    /// Makes all existing links and codes expire.
    pub(super) fn expire_links(&mut self) {
        for user in self.by_email.values_mut() {
            for kind in [TokenKind::Confirmation, TokenKind::Recovery] {
                if let Some(sent_at) = &mut user.slot(kind).sent_at {
                    *sent_at = DateTime::UNIX_EPOCH;
                }
            }
        }
    }

    /// Uses a token, which signs the user in. Wrong, used, superseded and expired tokens all get the same error and
    /// change nothing.
    pub(super) fn use_token(
        &mut self,
        kinds: &[TokenKind],
        lifetime: Duration,
        proof: Proof<'_>,
    ) -> Result<User, AuthError> {
        let email = match proof {
            Proof::Hash(hash) => self.owners.get(hash).cloned(),
            Proof::Code { email, .. } => Some(email.to_owned()),
        };
        let found = email.and_then(|email| {
            let user = self.by_email.get_mut(&email)?;
            let kind = kinds.iter().copied().find(|kind| user.takes(*kind, proof, lifetime))?;
            Some((user, kind))
        });
        let (user, kind) = found.ok_or_else(|| {
            let message = "Email link is invalid or has expired";
            AuthError::new(StatusCode::FORBIDDEN, "otp_expired", message)
        })?;
        if user.is_banned() {
            let message = "User is banned";
            return Err(AuthError::new(StatusCode::FORBIDDEN, "user_banned", message));
        }
        user.sign_in(kind);
        Ok(user.clone())
    }
}

fn random_id() -> Uuid {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid()
}

fn go_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").ok();
        text
    })
}
