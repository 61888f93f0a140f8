//! Checks whether a link's token still works, without using it up.

use super::State;

/// The link tokens of one stand-in. Clones share them.
#[derive(Clone)]
pub struct LinkTokens(pub(super) State);

impl LinkTokens {
    /// Whether a link with this token hash signs its user in.
    pub fn signs_in(&self, token_hash: &str) -> bool {
        self.0.with(|auth| auth.users.would_sign_in(token_hash, auth.settings.otp_exp))
    }
}
