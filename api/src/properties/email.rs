//! Email addresses: an accepted address is exactly one recipient, in mail headers and everywhere else it is written.

use outbox::Email;

/// Parses the input as an email address and returns whether it was accepted.
pub fn email(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(email) = Email::parse(text) else { return false };
    let address = email.as_str();

    assert!((3..=254).contains(&address.len()), "{address:?} has {} bytes", address.len());
    assert!(address.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{text:?} became {address:?}");
    // Characters that separate, quote, comment or group recipients, start a header, or escape.
    assert!(!address.contains(|c| ",;:<>()[]\"\\".contains(c)), "{address:?} could be more than one recipient");
    assert_eq!(address.matches('@').count(), 1, "{address:?}");
    assert!(!text.contains(char::is_control), "{text:?} contains a control character");

    assert_normalization_is_idempotent(&email);
    assert_mailbox_is_stable(&email);
    true
}

/// Parsing an accepted address again returns the same address, also in upper case, with blanks around it or in
/// full-width characters.
fn assert_normalization_is_idempotent(email: &Email) {
    let address = email.as_str();
    for variant in [address.to_owned(), address.to_ascii_uppercase(), format!(" {address}\u{a0}")] {
        // The document's maxLength of 254 characters includes the blanks.
        if variant.chars().count() <= Email::MAX_LENGTH {
            assert_eq!(Email::parse(&variant).as_ref(), Ok(email), "{variant:?}");
        }
    }
    // Full-width forms, as East Asian keyboards type them.
    let wide: String = address.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)).collect();
    assert_eq!(Email::parse(&wide).as_ref(), Ok(email), "{wide:?}");
}

/// The quota key is an address, is its own quota key, is not longer than the address, and ignores further tags.
fn assert_mailbox_is_stable(email: &Email) {
    let mailbox = email.mailbox();
    assert!(mailbox.as_str().len() <= email.as_str().len(), "{mailbox:?}");
    let mailbox_email =
        Email::parse(mailbox.as_str()).unwrap_or_else(|error| panic!("{mailbox:?} is not an address: {error}"));
    assert_eq!(mailbox_email.mailbox(), mailbox, "mailbox of {email}, computed twice");
    let (local, host) = email.as_str().split_once('@').expect("exactly one @, asserted above");
    if !local.starts_with('+')
        && let Ok(tagged) = Email::parse(&format!("{local}+tag@{host}"))
    {
        assert_eq!(tagged.mailbox(), mailbox, "a tag changes the quota key");
    }
}
