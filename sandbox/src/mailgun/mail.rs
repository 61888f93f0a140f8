//! An accepted mail, and functions that parse its addresses and URLs.

use std::{fmt, time::SystemTime};

/// One mail as Mailgun understands it: a comma in the `to` field separates two recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The mail's index in the order of arrival.
    pub number: usize,
    /// When the mail was accepted.
    pub received: SystemTime,
    /// The sender as sent, including the name.
    pub from: String,
    /// Each recipient as sent, including the name.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The plain-text body. Empty if the mail has none.
    pub text: String,
    /// The HTML body. Empty if the mail has none.
    pub html: String,
    /// The custom headers: `h:` fields without the prefix, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The options: `o:` fields without the prefix, in the order sent.
    pub options: Vec<(String, String)>,
    /// The variables: `v:` fields without the prefix, in the order sent.
    pub variables: Vec<(String, String)>,
    /// The images that are embedded in the mail, in the order sent.
    pub inline: Vec<InlinePart>,
    /// The Message-Id that the stand-in returned, in angle brackets.
    pub message_id: String,
}

/// An image that is embedded in the mail: an `inline` field. The HTML refers to the image as `cid:` followed by its
/// file name.
#[derive(Clone, PartialEq, Eq)]
pub struct InlinePart {
    /// The file name, which Mailgun uses as the Content-ID.
    pub file_name: String,
    /// The Content-Type as sent.
    pub content_type: String,
    /// The content of the image file.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for InlinePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {} bytes)", self.file_name, self.content_type, self.bytes.len())
    }
}

impl Mail {
    /// The sign-in link: the only URL in the plain text or, if the text contains several URLs (for example, the URL of
    /// a support page), the only URL that is alone on its line. `None` if there is no such URL.
    pub fn link(&self) -> Option<&str> {
        only(urls(&self.text))
            .or_else(|| only(urls(&self.text).filter(|url| self.text.lines().any(|line| line == *url))))
    }

    /// Whether this address is among the recipients, ignoring case and names.
    pub fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| bare_address(to).eq_ignore_ascii_case(address))
    }

    /// The first `o:` option with this name, ignoring case, for example `mail.option("tag")`.
    pub fn option(&self, name: &str) -> Option<&str> {
        first(&self.options, name)
    }

    /// The first `h:` header with this name, ignoring case.
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The first `v:` variable with this name, ignoring case.
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

/// Returns the address without the name: `ada@example.com` for `Ada <ada@example.com>`.
pub(super) fn bare_address(address: &str) -> &str {
    match address.rsplit_once('<') {
        Some((_, rest)) => rest.trim_end().trim_end_matches('>'),
        None => address.trim(),
    }
}

/// Splits a `to` field at commas outside quotation marks, as Mailgun does.
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

/// Whether `field` is a valid address, either bare or in the form `Name <address>`.
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
    fn a_comma_outside_quotes_separates_recipients() {
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
    fn invalid_addresses_are_rejected() {
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
