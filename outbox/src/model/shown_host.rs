//! The portal's host as a mail shows it.

/// The portal's host as a mail shows it, with the port if it has one: `portal.example.com`, `münchen.example:8443`. The
/// api reads the host from its settings, so that a stranger cannot put text into another person's mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownHost(String);

/// The text is not a host: it is empty, longer than [`ShownHost::MAX_BYTES`], or contains characters that a host cannot
/// contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is not a host")]
pub struct ShownHostError;

impl ShownHost {
    /// Maximum length of a host in `email_jobs.shown_host`, in bytes.
    pub const MAX_BYTES: usize = 512;

    /// Parses a host, which may be in Unicode.
    ///
    /// # Errors
    /// [`ShownHostError`].
    pub fn parse(text: impl Into<String>) -> Result<Self, ShownHostError> {
        let text = text.into();
        let is_bad = |c: char| c.is_control() || c.is_whitespace() || "/\\@<>?#".contains(c);
        let is_host = (1..=Self::MAX_BYTES).contains(&text.len()) && !text.contains(is_bad);
        if is_host { Ok(Self(text)) } else { Err(ShownHostError) }
    }

    /// The host.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_host_with_an_optional_port_is_accepted() {
        for text in ["portal.example.com", "münchen.example:8443", "[::1]:3000", "localhost"] {
            assert_eq!(ShownHost::parse(text).unwrap().as_str(), text);
        }
        let long = "a".repeat(513);
        for text in ["", "a b", "a\r\nBcc: b", "https://example.com", "user@example.com", "<b>", "a\\b", "a?b", &long] {
            assert_eq!(ShownHost::parse(text), Err(ShownHostError), "{text:?}");
        }
    }
}
