//! The name that identifies a portal in programs, tables and metrics.

use std::{fmt, str::FromStr};

/// The value of the metrics' `portal` label for jobs without a portal. No portal may have this id.
pub const DEFAULT_PORTAL: &str = "default";

/// The id of a portal: 1 to 32 lower-case letters, digits and hyphens, not beginning with a hyphen. The id `default` is
/// not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortalId(String);

impl PortalId {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PortalId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text == DEFAULT_PORTAL {
            return Err(format!("`{DEFAULT_PORTAL}` is reserved for jobs without a portal: use another id"));
        }
        if (1..=32).contains(&text.len()) && text.bytes().all(is_plain) && !text.starts_with('-') {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{}` must be 1 to 32 lower-case letters, digits and hyphens, and must not begin with a hyphen",
            text.escape_debug()
        ))
    }
}

impl fmt::Display for PortalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_1_to_32_plain_characters() {
        for text in ["shop", "a", "0", "help-desk-2", &"a".repeat(32)] {
            assert_eq!(text.parse::<PortalId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "-a", "Shop", "a b", "a_b", "../a", "é", "a\n", "default", &"a".repeat(33)] {
            assert!(text.parse::<PortalId>().is_err(), "{text:?}");
        }
    }
}
