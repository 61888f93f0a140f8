//! Where the links in the mails that `cargo dev` sends point.

use clap::ValueEnum;

/// The values of the worker's `LINK_STYLE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DevLinkStyle {
    /// The api's confirm page. The link is not used up until its button is pressed.
    #[default]
    Confirm,
    /// Supabase's verify URL, which signs in its first visitor.
    Verify,
    /// The portal's callback with the token hash, which the portal verifies itself.
    #[value(name = "token_hash")]
    TokenHash,
    /// No link. The mail contains only a code.
    Code,
}

impl DevLinkStyle {
    /// The value of `LINK_STYLE`.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            DevLinkStyle::Confirm => "confirm",
            DevLinkStyle::Verify => "verify",
            DevLinkStyle::TokenHash => "token_hash",
            DevLinkStyle::Code => "code",
        }
    }

    /// Returns a description of what the mails contain, for the terminal.
    pub(super) fn describe(self) -> &'static str {
        match self {
            DevLinkStyle::Confirm => "a link to the api's confirm page, and a code",
            DevLinkStyle::Verify => "a link to Supabase Auth, and a code",
            DevLinkStyle::TokenHash => "a link to the portal's callback, and a code",
            DevLinkStyle::Code => "a code and no link",
        }
    }
}
