//! An address: whatever is taken is one recipient, and nothing but a recipient, wherever it is written.

use outbox::Email;

/// Reads the input as an address; tells whether it was taken.
pub fn email(input: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(input) else { return false };
    let Ok(email) = Email::parse(text) else { return false };
    let address = email.as_str();

    assert!((3..=254).contains(&address.len()), "{address:?} has {} bytes", address.len());
    assert!(address.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase()), "{text:?} became {address:?}");
    // Whatever separates, quotes, comments or groups recipients, begins a header, or escapes.
    assert!(!address.contains(|c| ",;:<>()[]\"\\".contains(c)), "{address:?} may be more than one recipient");
    assert_eq!(address.matches('@').count(), 1, "{address:?}");
    assert!(!text.contains(char::is_control), "{text:?} carries a control");

    assert_taken_again(&email);
    assert_one_mailbox(&email);
    true
}

/// Normalising is done once for good: the address is its own normal form, with whatever blanks and in whatever case.
fn assert_taken_again(email: &Email) {
    let address = email.as_str();
    for again in [address.to_owned(), address.to_ascii_uppercase(), format!(" {address}\u{a0}")] {
        // What is sent has at most 254 characters, blanks and all (the document's maxLength).
        if again.chars().count() <= Email::MAX_LENGTH {
            assert_eq!(Email::parse(&again).as_ref(), Ok(email), "{again:?}");
        }
    }
    // Forms that are typed on a full-width keyboard.
    let wide: String = address.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c)).collect();
    assert_eq!(Email::parse(&wide).as_ref(), Ok(email), "{wide:?}");
}

/// The quota's key is an address, its own key, no longer than the address, and the same for every further tag.
fn assert_one_mailbox(email: &Email) {
    let mailbox = email.mailbox();
    assert!(mailbox.len() <= email.as_str().len(), "{mailbox:?}");
    let folded = Email::parse(&mailbox).unwrap_or_else(|error| panic!("{mailbox:?} is no address: {error}"));
    assert_eq!(folded.mailbox(), mailbox, "folding {email} twice");
    let (local, host) = email.as_str().split_once('@').expect("one @, seen above");
    if !local.starts_with('+')
        && let Ok(tagged) = Email::parse(&format!("{local}+tag@{host}"))
    {
        assert_eq!(tagged.mailbox(), mailbox, "a tag makes another quota");
    }
}
