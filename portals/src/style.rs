//! Where the links in new mails lead, and which codes are shown in mails.

use std::str::FromStr;

/// The values of `LINK_STYLE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkStyleName {
    /// The api's confirm page, where a button takes the person to Supabase.
    Confirm,
    /// Supabase's verify URL.
    Verify,
    /// The portal's callback, with the token hash in its query.
    TokenHash,
    /// No link: the mail contains only a code.
    Code,
}

impl LinkStyleName {
    /// The value in `LINK_STYLE`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::Verify => "verify",
            Self::TokenHash => "token_hash",
            Self::Code => "code",
        }
    }
}

impl FromStr for LinkStyleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let styles = [Self::Confirm, Self::Verify, Self::TokenHash, Self::Code];
        let style = styles.into_iter().find(|style| style.as_str() == text);
        style.ok_or_else(|| format!("`{}` is not one of confirm, verify, token_hash and code", text.escape_debug()))
    }
}

/// Which of Supabase's one-time codes are shown in mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailCode {
    /// Mails show no code.
    Off,
    /// Mails show only codes that are too long to be guessed while they are valid, even without a limit on attempts.
    On,
    /// Mails also show shorter codes. The operator has checked that Supabase limits attempts with wrong codes.
    OnRateLimited,
}

impl MailCode {
    /// The minimum number of digits in a code that is mailed. `None` if no code is mailed.
    #[must_use]
    pub fn min_digits(self) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::On => Some(10),
            Self::OnRateLimited => Some(8),
        }
    }
}

impl FromStr for MailCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "on" => Ok(Self::On),
            "on-rate-limited" => Ok(Self::OnRateLimited),
            _ => Err(format!("`{}` is not one of off, on and on-rate-limited", text.escape_debug())),
        }
    }
}
