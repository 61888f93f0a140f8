//! The state of a job.

/// State of a job: the value of `email_jobs.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Queued,
    /// Leased by a worker.
    Running,
    /// Waits for its next attempt.
    Retrying,
    /// Mailgun accepted the mail.
    Sent,
    /// Ended without success.
    Failed,
    /// The mail was not sent by the job's deadline.
    Expired,
    /// Superseded by a newer request, or created by a double click.
    Superseded,
    /// Cancelled by an operator.
    Cancelled,
}

impl JobState {
    /// All states, the open ones first.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Running,
        Self::Retrying,
        Self::Sent,
        Self::Failed,
        Self::Expired,
        Self::Superseded,
        Self::Cancelled,
    ];

    /// Whether the job is still open.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Queued | Self::Running | Self::Retrying)
    }

    /// The value in the tables and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Cancelled => "cancelled",
        }
    }
}
