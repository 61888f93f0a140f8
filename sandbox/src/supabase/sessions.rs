//! The sessions of people who have signed in, and their access tokens: JWTs (internal/tokens/service.go), signed with
//! HS256 and a random key, so that nobody can forge a token.

use super::{answer::AuthError, users::User};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use hmac::{Hmac, Mac};
use poem::http::StatusCode;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use std::collections::HashMap;
use uuid::Uuid;

const LIFETIME_SECONDS: i64 = 3600;

/// The tokens that a person gets by signing in.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    /// Seconds until the access token expires.
    pub(super) expires_in: i64,
    /// Unix time at which the access token expires.
    pub(super) expires_at: i64,
}

/// An open session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) id: Uuid,
    /// The user's address.
    pub(super) email: String,
}

/// All open sessions.
pub(super) struct Sessions {
    key: [u8; 32],
    /// Maps each session's id to the user's address.
    open: HashMap<Uuid, String>,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { key: rand::random(), open: HashMap::new() }
    }
}

impl Sessions {
    /// Opens a session.
    pub(super) fn open(&mut self, user: &User, issuer: &str) -> Tokens {
        let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
        self.open.insert(id, user.email.clone());
        let now = Utc::now().timestamp();
        let expires_at = now + LIFETIME_SECONDS;
        let claims = json!({
            "iss": issuer,
            "sub": user.id.to_string(),
            "aud": "authenticated",
            "exp": expires_at,
            "iat": now,
            "email": user.email,
            "phone": "",
            "app_metadata": {"provider": "email", "providers": ["email"]},
            "user_metadata": {},
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "otp", "timestamp": now}],
            "session_id": id.to_string(),
            "is_anonymous": false,
        });
        let refresh_token = format!("{:012x}", rand::random_range(0..1_u64 << 48));
        Tokens { access_token: self.sign(&claims), refresh_token, expires_in: LIFETIME_SECONDS, expires_at }
    }

    /// Returns the session that an access token belongs to.
    ///
    /// # Errors
    /// The errors of the real server (internal/api/auth.go): the token was not created by this stand-in, the token has
    /// expired, or the session has ended.
    pub(super) fn of_token(&self, access_token: &str) -> Result<Session, AuthError> {
        let claims = self.claims(access_token)?;
        let id = claims["session_id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let open = id.and_then(|id| Some(Session { id, email: self.open.get(&id)?.clone() }));
        open.ok_or_else(|| {
            let message = "Session from session_id claim in JWT does not exist";
            AuthError::new(StatusCode::FORBIDDEN, "session_not_found", message)
        })
    }

    /// Ends the session, all sessions of its user, or all other sessions of its user, depending on `scope`
    /// (internal/api/logout.go).
    ///
    /// # Errors
    /// There is no such scope.
    pub(super) fn end(&mut self, session: &Session, scope: &str) -> Result<(), AuthError> {
        match scope {
            "" | "global" => self.open.retain(|_, email| *email != session.email),
            "local" => self.open.retain(|id, _| *id != session.id),
            "others" => self.open.retain(|id, email| *id == session.id || *email != session.email),
            other => return Err(AuthError::validation(&format!("Unsupported logout scope \"{other}\""))),
        }
        Ok(())
    }

    fn sign(&self, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&json!({"alg": "HS256", "typ": "JWT"})), part(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    fn claims(&self, access_token: &str) -> Result<Map<String, Value>, AuthError> {
        let refused = |why: &str| {
            let message = format!("invalid JWT: unable to parse or verify signature, {why}");
            AuthError::new(StatusCode::FORBIDDEN, "bad_jwt", &message)
        };
        let (signed, signature) =
            access_token.rsplit_once('.').ok_or_else(|| refused("token contains an invalid number of segments"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        if self.mac(signed).verify_slice(&signature).is_err() {
            return Err(refused("token signature is invalid: signature is invalid"));
        }
        let claims = signed.split_once('.').and_then(|(_, claims)| URL_SAFE_NO_PAD.decode(claims).ok());
        let claims: Map<String, Value> = claims
            .and_then(|claims| serde_json::from_slice(&claims).ok())
            .ok_or_else(|| refused("token is malformed"))?;
        if claims["exp"].as_i64() <= Some(Utc::now().timestamp()) {
            return Err(refused("token has invalid claims: token is expired"));
        }
        Ok(claims)
    }

    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&self.key).expect("HMAC accepts keys of any length");
        mac.update(signed.as_bytes());
        mac
    }
}
