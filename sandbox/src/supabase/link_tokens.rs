//! Asks the stand-in whether a link's token still signs in, without using the token.

use super::State;

/// The tokens of one stand-in. Clones ask the same stand-in.
#[derive(Clone)]
pub struct LinkTokens(pub(super) State);

impl LinkTokens {
    /// Whether a link with this token hash signs its user in.
    pub fn signs_in(&self, token_hash: &str) -> bool {
        self.0.with(|auth| auth.users.would_sign_in(token_hash, auth.settings.otp_exp))
    }
}
