//! Where people can ask questions. Apart from the sign-in link, this is the only link in a mail.

use std::str::FromStr;

use outbox::Email;
use url::Url;

/// Maximum length of a page's URL, in characters.
const MAX_LENGTH: usize = 200;

/// An email address or a web page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// An email address. Its local part consists of ASCII letters, digits, `.`, `_`, `+` and `-`.
    Email(String),
    /// An https URL.
    Page(String),
}

impl Support {
    /// What the mail shows: the address, or the whole URL.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Email(text) | Self::Page(text) => text,
        }
    }

    /// The target of the link in the mail.
    #[must_use]
    pub fn href(&self) -> String {
        match self {
            Self::Email(address) => format!("mailto:{address}"),
            Self::Page(url) => url.clone(),
        }
    }
}

impl FromStr for Support {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const PROBLEM: &str = "is neither an email address nor an https URL of at most 200 characters";
        let text = text.trim();
        if let Ok(url) = Url::parse(text) {
            let is_page = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
            let is_short = url.as_str().len() <= MAX_LENGTH && !url.as_str().contains(['\'', '"', '<', '>']);
            return if is_page && is_short { Ok(Self::Page(url.into())) } else { Err(PROBLEM) };
        }
        let address = Email::parse(text).map_err(|_| PROBLEM)?.to_string();
        let (local, _) = address.split_once('@').ok_or(PROBLEM)?;
        // Other characters may have a special meaning in a mailto URL.
        let is_plain = local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte));
        if is_plain { Ok(Self::Email(address)) } else { Err(PROBLEM) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_is_an_address_or_a_page() {
        for (text, href) in [
            ("help+portal@example.com", "mailto:help+portal@example.com"),
            (" https://example.com/help?from=mail ", "https://example.com/help?from=mail"),
        ] {
            assert_eq!(text.parse::<Support>().unwrap().href(), href);
        }
        let long = format!("https://example.com/{}", "a".repeat(200));
        for text in [
            "",
            "help",
            "http://example.com",
            "javascript:alert(1)",
            "mailto:help@example.com",
            "https://user:password@example.com",
            "https://example.com/it's",
            "a?subject=x@example.com",
            "a&b@example.com",
            &long,
        ] {
            assert!(text.parse::<Support>().is_err(), "{text}");
        }
    }
}
