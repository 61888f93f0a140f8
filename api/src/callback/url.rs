//! The callback URL: the page of the portal that a link leads to after sign-in.

use outbox::CallbackUrl;

use super::{next::CallbackNext, origin::Origin};

/// Joins an allowed origin, the callback path (`CALLBACK_PATH`) and the destination inside the portal:
/// `https://portal.example.com/auth/callback?next=%2Forders`. Without `next` the URL has no query.
///
/// # Panics
/// Never: the parts are ASCII without spaces, and their bounds (512 bytes, 512 bytes, and three times 1,024 bytes) add up to
/// less than [`CallbackUrl::MAX_BYTES`].
pub(crate) fn build(origin: &Origin, path: &str, next: Option<&CallbackNext>) -> CallbackUrl {
    let query = next.map(|next| format!("?next={}", next.percent_encoded())).unwrap_or_default();
    CallbackUrl::parse(format!("{}{path}{query}", origin.as_str())).expect("its parts were checked")
}
