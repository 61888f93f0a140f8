//! Email addresses: an accepted address is exactly one recipient, both in mail headers and everywhere else.

use outbox::Email;

/// Parses the input as an email address and returns whether it was accepted.
pub fn email(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(email) = Email::parse(text) else { return false };
    let address = email.as_str();

    assert!((3..=254).contains(&address.len()), "{address:?} has {} bytes", address.len());
    assert!(address.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{text:?} became {address:?}");
    // Characters that separate, quote, comment or group recipients, start a header, or escape other characters.
    assert!(!address.contains(|c| ",;:<>()[]\"\\".contains(c)), "{address:?} could be more than one recipient");
    assert_eq!(address.matches('@').count(), 1, "{address:?}");
    assert!(!text.contains(char::is_control), "{text:?} contains a control character");
    // Only white space and invisible characters at the ends may be removed.
    let inner = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    assert!(!inner.contains(is_invisible), "{text:?} contains an invisible character");
    assert_has_a_mail_domain(address);

    assert_normalization_is_idempotent(&email);
    assert_domain_may_be_written_in_its_script(&email);
    assert_mailbox_is_stable(&email);
    true
}

/// Whether `c` is one of the common invisible characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{3164}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Checks that the lengths are within SMTP's limits, and that the domain's labels are valid in DNS.
fn assert_has_a_mail_domain(address: &str) {
    let (local, domain) = address.split_once('@').expect("an address contains exactly one @");
    let labels: Vec<&str> = domain.split('.').collect();
    assert!((1..=64).contains(&local.len()) && domain.len() <= 253 && labels.len() > 1, "{address:?}");
    for label in labels {
        let is_plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let has_inner_hyphens = !label.starts_with('-') && !label.ends_with('-');
        assert!(is_plain && has_inner_hyphens && (1..=63).contains(&label.len()), "{label:?} in {address:?}");
    }
}

/// The Unicode spelling of a domain is either accepted as the same domain, or refused, because some domains can only be
/// written as punycode. A browser reads both spellings as the same host.
fn assert_domain_may_be_written_in_its_script(email: &Email) {
    let (local, domain) = email.as_str().split_once('@').expect("an address contains exactly one @");
    let labels = domain.split('.').map(|label| match label.strip_prefix("xn--") {
        Some(encoded) => {
            let decoded = idna::punycode::decode_to_string(encoded);
            decoded.unwrap_or_else(|| panic!("{label:?} is not punycode"))
        }
        None => label.to_owned(),
    });
    let unicode = labels.collect::<Vec<_>>().join(".");
    if let Ok(again) = Email::parse(&format!("{local}@{unicode}")) {
        assert_eq!(&again, email, "{unicode:?}");
        assert_eq!(again.mailbox(), email.mailbox(), "{unicode:?}");
    }
    if unicode != domain {
        let host = |domain: &str| url::Host::parse(domain).map(|host| host.to_string());
        assert_eq!(host(&unicode).as_deref(), Ok(domain), "{unicode:?}");
    }
}

/// Parsing an accepted address again returns the same address, even if the address is first converted to upper case or
/// full-width characters, or surrounded with spaces or invisible characters.
fn assert_normalization_is_idempotent(email: &Email) {
    let address = email.as_str();
    for variant in [
        address.to_owned(),
        address.to_ascii_uppercase(),
        format!(" {address}\u{a0}"),
        format!("\u{feff}{address}\u{200b}"),
    ] {
        // The OpenAPI document's `maxLength` of 254 characters also counts the added spaces.
        if variant.chars().count() <= Email::MAX_LENGTH {
            assert_eq!(Email::parse(&variant).as_ref(), Ok(email), "{variant:?}");
        }
    }
    // Full-width forms, as East Asian keyboards type them.
    let wide: String = address.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)).collect();
    assert_eq!(Email::parse(&wide).as_ref(), Ok(email), "{wide:?}");
}

/// The quota key of an address is itself an address whose quota key is the same. The key is no longer than the address,
/// and adding a tag to the address does not change the key.
fn assert_mailbox_is_stable(email: &Email) {
    let mailbox = email.mailbox();
    assert!(mailbox.as_str().len() <= email.as_str().len(), "{mailbox:?}");
    let mailbox_email =
        Email::parse(mailbox.as_str()).unwrap_or_else(|error| panic!("{mailbox:?} is not an address: {error}"));
    assert_eq!(mailbox_email.mailbox(), mailbox, "the quota key of {email} is not its own quota key");
    let (local, host) = email.as_str().split_once('@').expect("an address contains exactly one @");
    if !local.starts_with('+')
        && let Ok(tagged) = Email::parse(&format!("{local}+tag@{host}"))
    {
        assert_eq!(tagged.mailbox(), mailbox, "a tag changes the quota key");
    }
}
