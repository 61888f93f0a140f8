//! The services that workers call.

/// A service that workers call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Upstream {
    /// Supabase Auth, which creates the links.
    Supabase,
    /// Mailgun, which sends the mails.
    Mailgun,
}

impl Upstream {
    /// The value in `upstreams.name`, in logs, in metrics and in `/health/ready`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Supabase => "supabase",
            Self::Mailgun => "mailgun",
        }
    }
}
