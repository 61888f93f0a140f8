//! Decides whether a mail shows the one-time code that Supabase creates with each link. Unless Supabase sees the
//! visitors' IP addresses, it does not limit attempts to guess a code (measured: about 1,900 attempts per second). An
//! attacker could then guess a short code before it expires.

use std::sync::atomic::{AtomicUsize, Ordering};

use outbox::Failure;
use secrecy::{ExposeSecret as _, SecretString};

use super::verdict::{UpstreamFailure, Verdict};
use crate::{
    metrics,
    settings::{LinkStyle, PortalLinks},
};

/// A code with fewer digits than this can be guessed within its lifetime, even if the mail does not show it.
pub(crate) const SAFE_CODE_DIGITS: usize = 8;

/// Supabase's setting for the length of its codes.
const SETTING: &str = "MAILER_OTP_LENGTH";

/// Admits only codes that are long enough for `MAIL_CODE`.
pub(super) struct CodeGate {
    /// The number of digits in the last code from Supabase, for each value of `MAIL_CODE`. [`UNKNOWN`] before the first
    /// code.
    digits: [AtomicUsize; 3],
}

const UNKNOWN: usize = usize::MAX;

impl CodeGate {
    pub(super) fn new() -> Self {
        Self { digits: [const { AtomicUsize::new(UNKNOWN) }; 3] }
    }

    /// Publishes the length of the codes as a metric. Logs an error or a warning if the length has changed and is too
    /// short.
    pub(super) fn observe_length(&self, code: Option<&SecretString>, links: &PortalLinks) {
        let digits = count_digits(code);
        let previous = self.digits[links.mail_code as usize].swap(digits, Ordering::Relaxed);
        metrics::set_code_digits(digits);
        if digits == previous {
            return;
        }
        match links.mail_code.min_digits() {
            // If the code is required, the configuration error from `admit` reports that the codes are too short.
            Some(min) if digits < min && !is_required(links) => tracing::error!(
                digits,
                required_digits = min,
                "Supabase's one-time codes are too short to be mailed, so mails go out without a code: set Supabase's \
                 {SETTING} (Email OTP length) to {min}"
            ),
            _ if (1..SAFE_CODE_DIGITS).contains(&digits) => tracing::warn!(
                digits,
                "Supabase creates a one-time code with each link, and a code of this length can be guessed: set the \
                 length (Email OTP length, {SETTING}) to {SAFE_CODE_DIGITS} or more"
            ),
            _ => {}
        }
    }

    /// The code that the mail shows, if any. Counts codes that are too short for `MAIL_CODE`.
    ///
    /// # Errors
    /// The code is too short, and the mail would contain neither a link nor a code. All of Supabase's codes have the
    /// same length, so no mail can be sent.
    pub(super) fn admit(code: Option<&SecretString>, links: &PortalLinks) -> Result<Option<String>, UpstreamFailure> {
        let Some(min) = links.mail_code.min_digits() else { return Ok(None) };
        let digits = count_digits(code);
        if digits >= min {
            return Ok(code.map(|code| code.expose_secret().to_owned()));
        }
        metrics::record_code_too_short();
        if !is_required(links) {
            return Ok(None);
        }
        let message = format!(
            "Supabase's one-time codes have {digits} digits, but MAIL_CODE requires at least {min}: set Supabase's \
             {SETTING} (Email OTP length) to {min}, or choose another LINK_STYLE"
        );
        Err(UpstreamFailure {
            verdict: Verdict::Configuration { setting: SETTING },
            reason: Failure::new("code_too_short", message),
            http_status: Some(200),
        })
    }
}

/// Whether mails contain only a code and no link.
fn is_required(links: &PortalLinks) -> bool {
    links.style == LinkStyle::Code
}

/// The number of digits in a code. 0 if there is no code, or if it contains anything other than digits.
pub(super) fn count_digits(code: Option<&SecretString>) -> usize {
    let code = code.map(|code| code.expose_secret()).unwrap_or_default();
    if code.bytes().all(|byte| byte.is_ascii_digit()) { code.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::MailCode;

    #[test]
    fn only_codes_that_are_long_enough_are_admitted() {
        for (mail_code, style, code, admitted) in [
            (MailCode::Off, LinkStyle::Verify, "4081726359", Ok(None)),
            (MailCode::On, LinkStyle::Verify, "4081726359", Ok(Some("4081726359"))),
            (MailCode::On, LinkStyle::Verify, "408172635", Ok(None)),
            (MailCode::On, LinkStyle::Verify, "408172635a", Ok(None)),
            (MailCode::On, LinkStyle::Verify, "40817 26359", Ok(None)),
            (MailCode::On, LinkStyle::Verify, "", Ok(None)),
            (MailCode::OnRateLimited, LinkStyle::TokenHash, "40817263", Ok(Some("40817263"))),
            (MailCode::OnRateLimited, LinkStyle::TokenHash, "4081726", Ok(None)),
            (MailCode::On, LinkStyle::Code, "4081726359", Ok(Some("4081726359"))),
            (MailCode::On, LinkStyle::Code, "40817263", Err("code_too_short")),
            (MailCode::OnRateLimited, LinkStyle::Code, "40817263", Ok(Some("40817263"))),
            (MailCode::OnRateLimited, LinkStyle::Code, "408172", Err("code_too_short")),
        ] {
            let result = CodeGate::admit(Some(&code.into()), &PortalLinks { style, mail_code });
            let result = result.map_err(|failure| failure.reason.code);
            let expected = admitted.map(|code| code.map(str::to_owned)).map_err(str::to_owned);
            assert_eq!(result, expected, "{mail_code:?}, {code}");
        }
    }
}
