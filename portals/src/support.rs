//! Where a portal's mails send people with questions.

use std::{fmt, str::FromStr};

use outbox::Email;
use url::Url;

/// Maximum length in bytes. The text stands on one line of the mail.
const MAX_BYTES: usize = 200;

/// An address or a page, which mails show at their foot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// An email address.
    Address(String),
    /// An https URL.
    Page(String),
}

impl Support {
    /// The address or URL, as people read it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Address(text) | Self::Page(text) => text,
        }
    }
}

impl FromStr for Support {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let shown = text.escape_debug();
        if text.len() > MAX_BYTES {
            return Err(format!("is longer than {MAX_BYTES} bytes"));
        }
        if !text.contains("://") {
            let address = Email::parse(text);
            let address = address.map_err(|_| format!("`{shown}` is neither an email address nor an https URL"))?;
            return Ok(Self::Address(address.as_str().to_owned()));
        }
        let url = Url::parse(text).map_err(|_| format!("`{shown}` is not a URL"))?;
        if url.scheme() != "https" || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("`{shown}` must be an https URL without a user name"));
        }
        Ok(Self::Page(url.into()))
    }
}

impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn support_is_an_address_or_a_page() {
        for (text, support) in [
            ("help@example.com", Support::Address("help@example.com".to_owned())),
            (" https://example.com/help?a=b ", Support::Page("https://example.com/help?a=b".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(support));
        }
        let long = format!("https://example.com/{}", "a".repeat(200));
        for text in [
            "",
            "help",
            "example.com/help",
            "http://example.com",
            "javascript://example.com",
            "https://",
            "https://a@b.example",
            "mailto://a@b.example",
            &long,
        ] {
            assert!(text.parse::<Support>().is_err(), "{text}");
        }
    }
}
