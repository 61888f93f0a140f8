//! An accepted mail, and the rules for addresses.

use std::{fmt, time::SystemTime};

/// One mail as Mailgun understands it: a comma in the `to` field separates two recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its place in the order of arrival, counted from 0.
    pub number: usize,
    /// When it was accepted.
    pub received: SystemTime,
    /// The sender as sent, including the name.
    pub from: String,
    /// Each recipient as sent, including the name.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The plain text. Empty if there was none.
    pub text: String,
    /// The HTML. Empty if there was none.
    pub html: String,
    /// `h:` fields without the prefix, in the order sent.
    pub headers: Vec<(String, String)>,
    /// `o:` fields without the prefix, in the order sent.
    pub options: Vec<(String, String)>,
    /// `v:` fields without the prefix, in the order sent.
    pub variables: Vec<(String, String)>,
    /// The images that are embedded in the mail, in the order sent.
    pub inline: Vec<InlinePart>,
    /// The Message-Id in the answer, in angle brackets.
    pub message_id: String,
}

/// An image that is embedded in the mail: an `inline` field. The HTML refers to it by `cid:` and its file name.
#[derive(Clone, PartialEq, Eq)]
pub struct InlinePart {
    /// The file name, which Mailgun uses as the Content-ID.
    pub file_name: String,
    /// The Content-Type as sent.
    pub content_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for InlinePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.file_name, self.content_type, self.bytes.len())
    }
}

impl Mail {
    /// The URL in the text, if there is exactly one. If there are several, the one that is alone on its line, because a
    /// portal's mail can also contain the URL of its support page.
    pub fn link(&self) -> Option<&str> {
        only(urls(&self.text))
            .or_else(|| only(urls(&self.text).filter(|url| self.text.lines().any(|line| line == *url))))
    }

    /// Whether this address is among the recipients, ignoring case and names.
    pub fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| bare_address(to).eq_ignore_ascii_case(address))
    }

    /// The first `o:` option with this name: `mail.option("tag")`.
    pub fn option(&self, name: &str) -> Option<&str> {
        first(&self.options, name)
    }

    /// The first `h:` header with this name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The first `v:` variable with this name.
    pub fn variable(&self, name: &str) -> Option<&str> {
        first(&self.variables, name)
    }
}

fn only<'a>(mut urls: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let url = urls.next()?;
    urls.next().is_none().then_some(url)
}

fn first<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The http and https URLs in `text`. A URL ends at white space, `<`, `>` or `"`.
pub(super) fn urls(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'))
        .filter(|word| word.starts_with("https://") || word.starts_with("http://"))
}

/// The address in `Ada <ada@example.com>`: `ada@example.com`.
pub(super) fn bare_address(address: &str) -> &str {
    match address.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end().trim_end_matches('>'),
        None => address.trim(),
    }
}

/// Splits a field at commas outside of quotes, as Mailgun does.
pub(super) fn recipients(field: &str) -> Vec<String> {
    let mut quoted = false;
    field
        .split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .map(|part| part.trim().to_owned())
        .collect()
}

/// Whether `field` is an address or `Name <address>` that a mail could be sent to.
pub(super) fn is_address(field: &str) -> bool {
    let named = field.contains('<');
    let address = bare_address(field);
    let closed = !named || field.trim_end().ends_with('>');
    let plain = |c: char| c.is_ascii_graphic() && !"<>,;\"()@".contains(c);
    closed
        && address.split_once('@').is_some_and(|(local, host)| {
            !local.is_empty()
                && local.chars().all(plain)
                && host.split('.').all(|label| !label.is_empty())
                && host.chars().all(plain)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_field_with_a_comma_is_two_recipients() {
        for (field, expected) in [
            ("ada@example.com", vec!["ada@example.com"]),
            ("a@b.example,c@d.example", vec!["a@b.example", "c@d.example"]),
            (
                r#""Lovelace, Ada" <ada@example.com>, b@c.example"#,
                vec![r#""Lovelace, Ada" <ada@example.com>"#, "b@c.example"],
            ),
        ] {
            assert_eq!(recipients(field), expected, "{field}");
        }
    }

    #[test]
    fn addresses_are_distinguished_from_other_text() {
        for (field, valid) in [
            ("ada@example.com", true),
            ("Ada <ada@example.com>", true),
            (r#""Lovelace, Ada" <ada+tag@example.com>"#, true),
            ("", false),
            ("ada", false),
            ("Ada <ada@example.com", false),
            ("a@b@c", false),
            ("a b@c", false),
            ("@example.com", false),
            ("ada@", false),
        ] {
            assert_eq!(is_address(field), valid, "{field}");
        }
    }
}
