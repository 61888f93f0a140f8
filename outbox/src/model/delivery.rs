//! What became of a mail after Mailgun took it.

/// How far a delivery has come, as it stands in `email_jobs.delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// Mailgun has it.
    Accepted,
    /// The mailbox's server wants it later: Mailgun tries again.
    Deferred,
    /// The mailbox's server took it.
    Delivered,
    /// Given up, though the mailbox may well exist: too late, too full, or against a policy.
    Undelivered,
    /// Refused for good by the mailbox's server.
    Bounced,
    /// Delivered, and called spam by its reader.
    Complained,
    /// Mailgun did not even try: the address is on its list of bounces, complaints or unsubscribes.
    Suppressed,
}

impl Delivery {
    /// All of them, in the order of a delivery.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Deferred,
        Self::Delivered,
        Self::Undelivered,
        Self::Bounced,
        Self::Complained,
        Self::Suppressed,
    ];

    /// Whether nothing but a complaint can come after it.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Deferred)
    }

    /// From what stands in the tables.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|delivery| delivery.as_str() == text)
    }

    /// As it stands in the tables, and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Deferred => "deferred",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Suppressed => "suppressed",
        }
    }
}
