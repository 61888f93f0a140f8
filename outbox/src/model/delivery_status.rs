//! What happened to a mail after Mailgun accepted it.

/// Delivery status of a mail: the value of `email_jobs.delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// Mailgun accepted the mail.
    Accepted,
    /// The recipient's server refused the mail temporarily. Mailgun retries.
    Deferred,
    /// The recipient's server accepted the mail.
    Delivered,
    /// Mailgun gave up although the mailbox may exist: delivery took too long, the mailbox was full, or the recipient's
    /// server rejected the mail because of a policy.
    Undelivered,
    /// The recipient's server refused the mail permanently.
    Bounced,
    /// The mail was delivered, and then reported as spam by the recipient.
    Complained,
    /// Mailgun did not try to deliver: the address is on Mailgun's list of bounces, complaints or unsubscribes.
    Suppressed,
}

impl DeliveryStatus {
    /// All delivery statuses.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Deferred,
        Self::Delivered,
        Self::Undelivered,
        Self::Bounced,
        Self::Complained,
        Self::Suppressed,
    ];

    /// Whether the status is final. The recipient can still complain after a final status.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Accepted | Self::Deferred)
    }

    /// The value in the tables and in metrics.
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
