//! The callback URL: the page of the portal that a link leads to after sign-in.

use super::{next::CallbackNext, origin::Origin};

/// Joins an allowed origin, the callback path (`CALLBACK_PATH`) and the destination inside the portal:
/// `https://portal.example.com/auth/callback?next=%2Forders`. Without `next` the URL has no query.
pub(crate) fn build(origin: &Origin, path: &str, next: Option<&CallbackNext>) -> String {
    let query = next.map(|next| format!("?next={}", next.percent_encoded())).unwrap_or_default();
    format!("{}{path}{query}", origin.as_str())
}
