//! The settings of the confirm page.

use confirm::{ConfirmKeys, PublicUrl};
use outbox::Quota;

/// The settings of the confirm page. Without them, the api does not serve the page.
#[derive(Clone)]
pub(crate) struct ConfirmSettings {
    /// `PUBLIC_URL`.
    pub(crate) public_url: PublicUrl,
    /// `CONFIRM_KEY`.
    pub(crate) keys: ConfirmKeys,
    /// `CONFIRM_RATE_LIMIT`: how many requests for the page each client network can make.
    pub(crate) rate_limit: Quota,
}

impl std::fmt::Debug for ConfirmSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfirmSettings").field("public_url", &self.public_url).finish_non_exhaustive()
    }
}
