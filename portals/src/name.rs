//! The name of a portal, as shown in its mails.

use std::{fmt, str::FromStr};

use outbox::CodePoint;

/// Maximum number of characters. Mail programs would cut off a longer name in the subject line.
const MAX_CHARACTERS: usize = 60;

/// A name such as `Example Shop`: 1 to 60 characters on one line, without invisible characters or a URL.
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
    type Err = String;

    /// White space around the name is removed.
    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(invisible) = CodePoint::first_invisible(text) {
            return Err(format!("contains an invisible character ({invisible})"));
        }
        match text.chars().count() {
            _ if text.contains(char::is_control) => Err("contains a line break or a control character".to_owned()),
            // Mail programs turn URLs in text into links.
            _ if text.contains("://") => Err("must not contain a URL".to_owned()),
            1..=MAX_CHARACTERS => Ok(Self(text.to_owned())),
            0 => Err("is empty".to_owned()),
            count => Err(format!("has {count} characters: at most {MAX_CHARACTERS} are allowed")),
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
    fn a_name_is_one_line_of_visible_characters() {
        for (text, name) in [("Example Shop", "Example Shop"), (" Bücher & Mehr ", "Bücher & Mehr"), ("متجر", "متجر")]
        {
            assert_eq!(text.parse::<PortalName>().map(|name| name.0).as_deref(), Ok(name));
        }
        assert!("ä".repeat(60).parse::<PortalName>().is_ok());
        for (text, problem) in [
            ("", "empty"),
            ("  ", "empty"),
            ("a\nb", "line break"),
            ("a\u{202e}b", "invisible character (U+202E"),
            ("https://evil.example", "URL"),
            (&"ä".repeat(61), "61 characters"),
        ] {
            let error = text.parse::<PortalName>().unwrap_err();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
    }
}
