//! Parses `SUPABASE_SERVICE_ROLE_KEY`. Supabase's dashboard shows all of a project's keys side by side, but only some
//! of the keys may create links.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::values::header_secret;

/// Parses the key. Rejects public keys, which are meant for browsers, because Supabase would refuse every call with
/// such a key.
///
/// # Errors
/// What is wrong with the key. The message does not contain the key.
pub(super) fn supabase_key(text: &str) -> Result<SecretString, String> {
    let key = text.trim();
    if key.starts_with("sb_publishable_") {
        return Err(format!("is a publishable key, {REQUIRED_KEY}"));
    }
    match jwt_role(key).as_deref() {
        Some("") => Err(format!("is a JWT without a role, {REQUIRED_KEY}")),
        Some(role @ ("anon" | "authenticated")) => Err(format!("is a key for the {role} role, {REQUIRED_KEY}")),
        // A setting of Supabase Auth (JWT_ADMIN_ROLES) can allow other roles to create links.
        _ => Ok(header_secret(key)?),
    }
}

const REQUIRED_KEY: &str =
    "which is not allowed to create links: set the secret key (sb_secret_…) or the service_role JWT";

/// The role in a JWT; empty if the JWT has no role. `None` if the key is not a JWT. Does not check the signature.
fn jwt_role(key: &str) -> Option<String> {
    let payload = jwt_payload(key)?;
    payload.is_object().then(|| payload["role"].as_str().unwrap_or_default().to_owned())
}

/// The project that a key from supabase.com belongs to: the first part of the project's host. `None` if the key does
/// not contain the project.
pub(crate) fn project_of_key(key: &SecretString) -> Option<String> {
    let payload = jwt_payload(key.expose_secret())?;
    let project = payload["ref"].as_str()?;
    let is_plain =
        !project.is_empty() && project.len() <= 40 && project.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_plain.then(|| project.to_owned())
}

fn jwt_payload(key: &str) -> Option<Value> {
    let [_, payload, _] = <[&str; 3]>::try_from(key.split('.').collect::<Vec<_>>()).ok()?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(payload: &str) -> String {
        format!("eyJhbGciOiJIUzI1NiJ9.{}.c2lnbmF0dXJl", BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn a_key_that_may_create_links_is_accepted_unchanged() {
        for key in [
            "sb_secret_abc",
            "sandbox-service-role-key",
            "a.b.c",
            &jwt(r#"{"role":"service_role","iss":"supabase"}"#),
            &jwt(r#"{"role":"supabase_admin"}"#),
            &jwt("no JSON"),
        ] {
            let parsed = supabase_key(&format!(" {key} "));
            assert_eq!(parsed.map(|parsed| parsed.expose_secret().to_owned()).as_deref(), Ok(key));
        }
    }

    #[test]
    fn the_project_is_read_from_a_supabase_com_key() {
        for (key, project) in [
            (jwt(r#"{"role":"service_role","ref":"abcdefghijklmnopqrst"}"#), Some("abcdefghijklmnopqrst")),
            (jwt(r#"{"role":"service_role"}"#), None),
            (jwt(r#"{"ref":"a b\u202e"}"#), None),
            ("sb_secret_abc".to_owned(), None),
        ] {
            assert_eq!(project_of_key(&key.clone().into()).as_deref(), project, "{key}");
        }
    }

    #[test]
    fn a_key_that_may_not_create_links_is_rejected_and_not_shown() {
        for (key, start) in [
            ("sb_publishable_abc".to_owned(), "is a publishable key, which"),
            (jwt(r#"{"iss":"supabase","role":"anon"}"#), "is a key for the anon role, which"),
            (jwt(r#"{"role":"authenticated"}"#), "is a key for the authenticated role, which"),
            (jwt(r#"{"role":""}"#), "is a JWT without a role, which"),
            (jwt(r#"{"role":1}"#), "is a JWT without a role, which"),
            (jwt("{}"), "is a JWT without a role, which"),
            ("a\u{7f}b".to_owned(), "contains a character"),
        ] {
            let error = supabase_key(&key).unwrap_err();
            assert!(error.starts_with(start), "{error}");
            assert!(!error.contains("abc") && !error.contains("eyJ") && !error.contains("c2ln"), "{error}");
        }
    }
}
