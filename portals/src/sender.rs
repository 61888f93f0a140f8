//! Parses the sender and the reply address of mails: `MAIL_FROM`, or `from` and `reply_to` of a portal.

use outbox::Email;

/// Parses a sender: `Name <address>` or just an address. Returns it unchanged, except that white space around it is
/// removed, and an address with a non-ASCII domain is converted to lower case and Punycode.
///
/// # Errors
/// What is wrong with the sender.
pub fn parse_sender(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err("contains a control character".to_owned());
    }
    let (name, address, end) = match text.find('<') {
        None => ("", text, ""),
        Some(at) => {
            let name = text[..at].trim();
            let quoted = name.len() > 1 && name.starts_with('"') && name.ends_with('"');
            let inner = if quoted { &name[1..name.len() - 1] } else { name };
            // Mailgun splits addresses at commas, and a quote or a bracket would end the name early (RFC 5322 §3.4).
            if inner.contains(['"', '\\', '<', '>']) {
                return Err("has one of the characters \" \\ < > in the name: remove this character".to_owned());
            }
            if !quoted && inner.contains([',', ';', ':', '@', '(', ')']) {
                return Err("has one of the characters , ; : @ ( ) in the name: write the name in quotes".to_owned());
            }
            (&text[..=at], text[at + 1..].strip_suffix('>').ok_or("has no closing `>`")?, ">")
        }
    };
    let email = Email::parse(address).map_err(|error| format!("`{address}` is not an address: {error}"))?;
    let address = if address.is_ascii() { address } else { email.as_str() };
    Ok(format!("{name}{address}{end}"))
}

/// Returns the address without the name. `sender` must come from [`parse_sender`].
#[must_use]
pub fn address_of_sender(sender: &str) -> &str {
    let address = sender.rsplit_once('<').map_or(sender, |(_, address)| address);
    address.strip_suffix('>').unwrap_or(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_one_address_with_or_without_a_name() {
        for text in [
            "no-reply@mg.example.com",
            "Portal <no-reply@mg.example.com>",
            "Größe & Söhne <a@example.com>",
            "\"Acme, Inc.\" <a@example.com>",
        ] {
            assert_eq!(parse_sender(text), Ok(text.to_owned()));
        }
        assert_eq!(parse_sender("Müller <Info@müller.example>"), Ok("Müller <info@xn--mller-kva.example>".to_owned()));
        for text in [
            "",
            "Portal",
            "Portal <>",
            "Portal <a@b.c",
            "A, B <a@b.c>",
            "a@b.c, d@e.f",
            "A\r\nBcc: x@y.z <a@b.c>",
            "a@b.c <d@e.f>",
            "Portal <a@b>",
            "<grüße@example.com>",
        ] {
            assert!(parse_sender(text).is_err(), "{text}");
        }
    }

    #[test]
    fn address_of_sender_removes_the_name() {
        for (text, address) in [
            ("no-reply@mg.example.com", "no-reply@mg.example.com"),
            ("\"A <b>\" <a@example.com>", ""),
            ("Portal <Info@müller.example>", "info@xn--mller-kva.example"),
        ] {
            assert_eq!(parse_sender(text).as_deref().map(address_of_sender).unwrap_or_default(), address);
        }
    }
}
