//! The mailbox that an address reaches. Quotas are counted per mailbox.

use std::fmt;

/// The mailbox that an address reaches, as far as we can tell: the address without `+tag`, and at Gmail also without
/// dots.
///
/// The mailbox is the key of a recipient's quota. If the address were the key, each tag would have its own quota. A
/// `Mailbox` is created only by [`Email::mailbox`](super::email::Email::mailbox) and from rows of `recipient_quotas`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox(String);

impl Mailbox {
    /// The mailbox of an address whose two parts are valid and lower-case.
    pub(super) fn of(local: &str, host: &str) -> Self {
        let untagged = match local.split_once('+') {
            Some((name, _)) if !name.is_empty() => name,
            _ => local,
        };
        Self(match host {
            "gmail.com" | "googlemail.com" if untagged.bytes().any(|b| b != b'.') => {
                format!("{}@gmail.com", untagged.replace('.', ""))
            }
            _ => format!("{untagged}@{host}"),
        })
    }

    /// Creates a mailbox from the key of a row of `recipient_quotas`, without checking the key.
    pub(crate) fn from_key(key: String) -> Self {
        Self(key)
    }

    /// The mailbox as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
