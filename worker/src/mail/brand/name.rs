//! The name of a portal, as mails show it.

use std::{fmt, str::FromStr};

use crate::mail::format_characters::is_format_character;

/// Maximum number of characters, so that subjects stay readable.
const MAX_LENGTH: usize = 60;

/// The name of a portal: one short line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortalName(String);

impl PortalName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PortalName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let name = text.trim();
        if name.is_empty() {
            Err("is empty")
        } else if name.chars().count() > MAX_LENGTH {
            Err("has more than 60 characters")
        } else if name.contains(|character: char| character.is_control() || is_format_character(character)) {
            Err("has an invisible character")
        } else if name.contains("://") {
            Err("has a URL: the only link of a mail is the one that signs in")
        } else {
            Ok(Self(name.to_owned()))
        }
    }
}

impl fmt::Display for PortalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_short_line() {
        let (longest, too_long) = ("é".repeat(60), "é".repeat(61));
        for (text, name) in
            [(" Müller & Söhne ", Some("Müller & Söhne")), ("بوابة", Some("بوابة")), (&longest, Some(longest.as_str()))]
        {
            assert_eq!(text.parse::<PortalName>().ok().as_ref().map(PortalName::as_str), name);
        }
        for text in ["", " ", "a\nb", "a\u{202e}b", "a\u{200b}b", "see https://example.com", &too_long] {
            assert!(text.parse::<PortalName>().is_err(), "{text:?}");
        }
    }
}
