//! A recipient's email address, in the form that Supabase Auth and Mailgun accept.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

use super::{code_point::CodePoint, email_domain, mailbox::Mailbox};

/// Why the input is not an email address. The message is for the person who typed the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// The input is empty, or contains only white space and invisible characters.
    #[error("Enter an email address.")]
    Empty,
    /// The input is longer than 254 characters, or longer than 254 bytes once its domain is in punycode.
    #[error("An email address can have at most 254 characters.")]
    TooLong,
    /// The input is not exactly one address of the form `local@host`.
    #[error("Enter one email address, like name@example.com.")]
    Shape,
    /// There is an invisible character inside the address.
    #[error("The address contains an invisible character ({0}): delete it, or type the address by hand.")]
    Invisible(CodePoint),
    /// The part before the `@` is not ASCII.
    #[error(
        "Before the @, an address can contain only unaccented letters (a to z), digits, and symbols such as . _ - +."
    )]
    NonAsciiLocalPart,
    /// The part before the `@` has more than 64 bytes.
    #[error("The part before the @ can have at most 64 characters.")]
    LongLocalPart,
    /// The part after the `@` is not a domain.
    #[error("The part after the @ is not a domain: enter an address like name@example.com.")]
    Domain,
    /// The part after the `@` is a single label.
    #[error("The part after the @ has no dot: enter an address like name@example.com.")]
    NoDot,
}

/// One email address, in lower-case ASCII and at most 254 bytes long. Domain labels in other scripts are in punycode.
///
/// The syntax is that of HTML's `<input type=email>`, which Supabase Auth also requires (internal/api/mail.go). It
/// allows no comma, double quote, angle bracket or space: Mailgun splits `to` at commas, and one field must never
/// become two recipients.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// Maximum length of an address in SMTP (RFC 5321 §4.5.3.1.3, without the angle brackets). The limit applies to the
    /// bytes of the address, and to the characters of the input before normalisation and trimming.
    pub const MAX_LENGTH: usize = 254;
    /// Maximum length of the part before the `@`, in bytes (RFC 5321 §4.5.3.1.1).
    const MAX_LOCAL_LENGTH: usize = 64;

    /// Parses an address as a person typed it or a form sent it.
    ///
    /// # Errors
    /// [`EmailError`] if the text is not exactly one address.
    pub fn parse(text: &str) -> Result<Self, EmailError> {
        // Check before trimming, so that a line break at the end is refused and not just removed: line breaks are used
        // to inject mail headers.
        if text.chars().any(char::is_control) {
            return Err(EmailError::Shape);
        }
        // Normalising can make the text 18 times as long, so the length of the input is checked first. The OpenAPI
        // document contains the same limit.
        if text.chars().count() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        let trimmed = text.trim_matches(|c: char| c.is_whitespace() || CodePoint(c).is_invisible());
        if trimmed.is_empty() {
            return Err(EmailError::Empty);
        }
        // Checked before normalising, which deletes some invisible characters and replaces others.
        if let Some(invisible) = CodePoint::first_invisible(trimmed) {
            return Err(EmailError::Invisible(invisible));
        }
        let normal: String = trimmed.nfkc().collect();
        let (local, domain) = normal.split_once('@').ok_or(EmailError::Shape)?;
        if domain.is_empty() || domain.contains('@') {
            return Err(EmailError::Shape);
        }
        check_local(local)?;
        let domain = email_domain::to_ascii(domain)?;
        let address = format!("{}@{domain}", local.to_ascii_lowercase());
        if address.len() > Self::MAX_LENGTH {
            return Err(EmailError::TooLong);
        }
        Ok(Self(address))
    }

    /// Reads an address from a row. The address may have been accepted by an earlier version of `parse`. Earlier
    /// versions were less strict about domains without a dot, punycode, and the length of the local part.
    ///
    /// # Errors
    /// [`EmailError::Shape`] if no version of `parse` can have accepted the address.
    pub fn from_stored(text: &str) -> Result<Self, EmailError> {
        let is_label = |label: &str| {
            let is_plain = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            is_plain && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
        };
        let is_stored = |(local, domain): (&str, &str)| {
            let is_plain = local.bytes().all(|b| is_local(b) && !b.is_ascii_uppercase());
            is_plain && !local.is_empty() && domain.split('.').all(is_label)
        };
        let is_stored = text.len() <= Self::MAX_LENGTH && text.split_once('@').is_some_and(is_stored);
        if is_stored { Ok(Self(text.to_owned())) } else { Err(EmailError::Shape) }
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The mailbox that the address reaches.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox {
        let (local, host) = self.0.split_once('@').expect("an `Email` contains one `@`");
        Mailbox::of(local, host)
    }
}

/// Checks the part before the `@`.
fn check_local(local: &str) -> Result<(), EmailError> {
    if local.is_empty() || !local.chars().all(|c| !c.is_ascii() || is_local(c as u8)) {
        Err(EmailError::Shape)
    } else if !local.is_ascii() {
        Err(EmailError::NonAsciiLocalPart)
    } else if local.len() > Email::MAX_LOCAL_LENGTH {
        Err(EmailError::LongLocalPart)
    } else {
        Ok(())
    }
}

/// Whether HTML allows this character in the part before the `@`: `atext` of RFC 5322, or a dot.
fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
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
    fn an_accepted_address_is_normalised() {
        for (text, address) in [
            ("hello@example.com", "hello@example.com"),
            ("  Hello@Example.COM ", "hello@example.com"),
            ("a@b.c", "a@b.c"),
            ("first.last+tag@mail.example.co", "first.last+tag@mail.example.co"),
            ("o'brien@example.ie", "o'brien@example.ie"),
            ("hello\u{ff20}example.com", "hello@example.com"),
            ("\u{a0}hello@example.com", "hello@example.com"),
            ("info@müller.example", "info@xn--mller-kva.example"),
            ("Info@MU\u{308}LLER.example", "info@xn--mller-kva.example"),
            ("info@xn--mller-kva.example", "info@xn--mller-kva.example"),
            ("hello@example\u{3002}com", "hello@example.com"),
        ] {
            assert_eq!(Email::parse(text).map(|e| e.0), Ok(address.to_owned()), "{text:?}");
        }
        let longest =
            format!("{}@{}.example.com", "a".repeat(64), ["b".repeat(60), "c".repeat(60), "d".repeat(55)].join("."));
        assert_eq!(longest.len(), 254);
        assert!(Email::parse(&longest).is_ok());
    }

    #[test]
    fn anything_but_exactly_one_address_is_refused() {
        for text in [
            "hello",
            "@example.com",
            "a@",
            "a@@b.c",
            "a@b.c@d.e",
            "a@b.c,d@e.f",
            "a@b.c;d@e.f",
            "a@b.c d@e.f",
            "a b@c.d",
            "<a@b.c>",
            "A <a@b.c>",
            "Jürgen <a@b.c>",
            "\"a\"@b.c",
            "a@b.c\r\n",
            "a@b.c\r\nBcc: d@e.f",
            "a@b.c\0",
            "a\u{7f}@b.c",
            "\u{feff}a@b.c\n",
            "a(c)@b.c",
            "jürgen",
            "a@b\u{ff20}c.d",
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Shape), "{text:?}");
        }
        for text in [
            "a@-b.c",
            "a@b-.c",
            "a@b..c",
            "a@.b",
            "a@b.",
            "a@b\u{ff0c}c.d",
            "a@b,c",
            "a@[127.0.0.1]",
            "a@💩.example",
            "a@xn--a.example",
        ] {
            assert_eq!(Email::parse(text), Err(EmailError::Domain), "{text:?}");
        }
        for text in ["a@b", "root@localhost", "a@müller"] {
            assert_eq!(Email::parse(text), Err(EmailError::NoDot), "{text:?}");
        }
        assert_eq!(Email::parse(" \u{a0} \u{200b}"), Err(EmailError::Empty));
        assert_eq!(Email::parse(&format!("{}@b.c", "a".repeat(65))), Err(EmailError::LongLocalPart));
        assert_eq!(Email::parse(&format!("a@{}", "b.".repeat(126) + "c")), Err(EmailError::TooLong));
        // This address has fewer than 254 characters, but more than 254 bytes once its domain is in punycode.
        let domain = format!("{0}.{0}.{0}.{0}.example", "ü".repeat(45));
        assert!(matches!(Email::parse(&format!("{}@{domain}", "a".repeat(61))), Err(EmailError::TooLong)));
        assert_eq!(Email::parse(&"\u{fdfa}".repeat(100_000)), Err(EmailError::TooLong));
    }

    #[test]
    fn a_local_part_that_is_not_ascii_is_refused_with_its_own_message() {
        for text in ["jürgen@example.com", "почта@почта.рф", "ß@exämple.com", "ａé@example.com"] {
            let error = Email::parse(text).unwrap_err();
            assert_eq!(error, EmailError::NonAsciiLocalPart, "{text}");
            assert!(error.to_string().starts_with("Before the @, "), "{error}");
        }
    }

    #[test]
    fn invisible_characters_are_trimmed_at_the_ends_and_refused_inside() {
        for invisible in ['\u{feff}', '\u{200b}', '\u{200e}', '\u{202d}', '\u{202c}', '\u{2060}', '\u{ad}', '\u{3164}']
        {
            let text = format!("{invisible} {invisible}hello@example.com{invisible}{invisible} ");
            assert_eq!(Email::parse(&text).map(|e| e.0).as_deref(), Ok("hello@example.com"), "{text:?}");
            for text in ["he?llo@example.com", "hello?@example.com", "hello@?example.com", "hello@exam?ple.com"] {
                let error = Email::parse(&text.replace('?', &invisible.to_string())).unwrap_err();
                assert_eq!(error, EmailError::Invisible(CodePoint(invisible)), "{text}");
            }
        }
        assert_eq!(
            Email::parse("hello@exam\u{200b}ple.com").unwrap_err().to_string(),
            "The address contains an invisible character (U+200B zero width space): delete it, or type the address by \
             hand."
        );
    }

    /// `parse` looks for invisible characters only before it normalises the text to NFKC, so NFKC must not add any.
    #[test]
    fn normalising_never_creates_an_invisible_character() {
        for c in ('\0'..=char::MAX).filter(|&c| !CodePoint(c).is_invisible()) {
            assert!(!c.nfkc().any(|c| CodePoint(c).is_invisible()), "{c:?}");
        }
    }

    #[test]
    fn addresses_in_older_rows_are_read_even_if_parse_would_refuse_them_now() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in ["hello@example.com", "a@b", "a@xn--a.example", "a@xn--mller-kva.example", &long] {
            assert_eq!(Email::from_stored(text).map(|e| e.0).as_deref(), Ok(text));
        }
        for text in
            ["", "a", "@b", "a@", "A@b", "a@B", "a@b,c", "a@b c", "a@b@c", "a@ü.example", " a@b", "a@b\n", "a@b."]
        {
            assert!(Email::from_stored(text).is_err(), "{text:?}");
        }
        assert!(Email::from_stored(&format!("a@{}", "b.".repeat(126) + "c")).is_err());
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
            ("hello+1@müller.example", "hello@xn--mller-kva.example"),
            ("hello@MÜLLER.example", "hello@xn--mller-kva.example"),
            ("hello+2@xn--mller-kva.example", "hello@xn--mller-kva.example"),
            ("hel.lo@gmail\u{ff0e}com", "hello@gmail.com"),
        ] {
            assert_eq!(Email::parse(address).map(|e| e.mailbox().to_string()), Ok(mailbox.to_owned()), "{address}");
        }
    }
}
