//! A recipient's email address, in the form that Supabase Auth accepts.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::mailbox::Mailbox;

/// Why a text is not an email address. The message is for the person who typed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// It is empty or only spaces.
    #[error("Enter an email address.")]
    Empty,
    /// It has more than 254 characters.
    #[error("An email address has at most 254 characters.")]
    TooLong,
    /// It is not exactly one `local@host`.
    #[error("Enter one email address, like name@example.com.")]
    Shape,
}

/// One email address: NFKC, trimmed, lower-cased ASCII of at most 254 bytes.
///
/// The syntax is that of HTML's `<input type=email>`, which Supabase Auth checks too (internal/api/mail.go). It allows no
/// comma, quote, bracket or space: Mailgun splits `to` at commas, and one field must never become two recipients.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// Longest address that SMTP carries (RFC 5321 §4.5.3.1.3, without the angle brackets): in bytes, and also in
    /// characters before normalisation and trimming.
    pub const MAX_LENGTH: usize = 254;

    /// Reads an address as a person or a form sends it.
    ///
    /// # Errors
    /// [`EmailError`] if it is not exactly one address.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        // Checked before trimming: a line break at the end could start a mail header.
        if text.chars().any(char::is_control) {
            return Err(EmailError::Shape);
        }
        // Normalising can make a text 18 times as long, so the input is bounded first. The OpenAPI document states the
        // same limit.
        if text.chars().count() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let normal: String = text.nfkc().collect();
        let address = normal.trim();
        if address.is_empty() {
            return Err(EmailError::Empty);
        }
        if address.len() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let (local, host) = address.split_once('@').ok_or(EmailError::Shape)?;
        if local.is_empty() || !local.bytes().all(is_local) || !host.split('.').all(is_label) {
            return Err(EmailError::Shape);
        }
        Ok(Self(address.to_ascii_lowercase()))
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox that the address reaches.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox {
        let (local, host) = self.0.split_once('@').expect("`parse` has found one `@`");
        Mailbox::of(local, host)
    }
}

/// `atext` of RFC 5322 and the dot: what HTML allows before the `@`.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

/// A host label: letters, digits and inner hyphens, at most 63 bytes.
fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_accepted_in_its_plain_form() {
        for (text, address) in [
            ("hello@example.com", "hello@example.com"),
            ("  Hello@Example.COM ", "hello@example.com"),
            ("a@b", "a@b"),
            ("first.last+tag@mail.example.co", "first.last+tag@mail.example.co"),
            ("o'brien@example.ie", "o'brien@example.ie"),
            ("hello\u{ff20}example.com", "hello@example.com"),
            ("\u{a0}hello@example.com", "hello@example.com"),
        ] {
            assert_eq!(Email::parse(text).map(|e| e.0), Ok(address.to_owned()), "{text:?}");
        }
        let longest =
            format!("{}@{}.example.com", "a".repeat(64), ["b".repeat(60), "c".repeat(60), "d".repeat(54)].join("."));
        assert_eq!(longest.len(), 253);
        assert!(Email::parse(&longest).is_ok());
        assert!(Email::parse(&format!("a{longest}")).is_ok());
    }

    #[test]
    fn anything_but_exactly_one_address_is_refused() {
        for text in [
            "hello",
            "@example.com",
            "a@",
            "a@@b",
            "a@b@c",
            "a@b,c@d",
            "a@b;c@d",
            "a@b c@d",
            "a b@c",
            "<a@b>",
            "A <a@b>",
            "\"a\"@b",
            "a@b\r\n",
            "a@b\r\nBcc: c@d",
            "a@b\0",
            "a\u{7f}@b",
            "a@-b",
            "a@b-",
            "a@b..c",
            "a@.b",
            "a@b.",
            "jürgen@example.com",
            "a@exämple.com",
            "a@b\u{ff0c}c@d",
            "a@b\u{ff20}c",
            "a@[127.0.0.1]",
            "a\u{200b}@b",
            "a(c)@b",
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Shape), "{text:?}");
        }
        assert_eq!(Email::parse(" \u{a0} "), Err(EmailError::Empty));
        assert_eq!(Email::parse(&format!("a@{}", "b.".repeat(126) + "c")), Err(EmailError::TooLong));
        assert_eq!(Email::parse(&"\u{fdfa}".repeat(100_000)), Err(EmailError::TooLong));
    }

    #[test]
    fn addresses_of_one_mailbox_share_a_quota() {
        for (address, mailbox) in [
            ("hello@example.com", "hello@example.com"),
            ("hello+1@example.com", "hello@example.com"),
            ("h.ello@example.com", "h.ello@example.com"),
            ("h.e.l.l.o+x+y@gmail.com", "hello@gmail.com"),
            ("hello@googlemail.com", "hello@gmail.com"),
            ("+tag@example.com", "+tag@example.com"),
            ("...@gmail.com", "...@gmail.com"),
        ] {
            assert_eq!(Email::parse(address).map(|e| e.mailbox().to_string()), Ok(mailbox.to_owned()), "{address}");
        }
    }
}
