//! The link and the code that a mail shows, and how long they work.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    link_parts::LinkParts,
    link_url::{LinkContext, MissingConfirmKey},
};

/// The link and the code that a mail shows. Has no `Debug`, because anybody who has the link or the code can sign in.
#[derive(Clone)]
pub(crate) struct MailedLink {
    /// The link: printable ASCII without quotes or angle brackets. `None` if the mail contains only a code.
    pub url: Option<String>,
    /// The one-time code, if the mail shows it.
    pub code: Option<String>,
    /// When the link was requested from Supabase.
    pub created_at: DateTime<Utc>,
    /// How long the link and the code work, counted from `created_at`.
    pub lifetime: Duration,
}

impl MailedLink {
    /// Builds the link from its parts. The mail shows the code that the parts contain, if any.
    ///
    /// # Errors
    /// [`MissingConfirmKey`] if the link cannot be built.
    pub(crate) fn from_parts(parts: &LinkParts, context: LinkContext<'_>) -> Result<Self, MissingConfirmKey> {
        let (url, code) = (parts.url(context)?, parts.code.clone());
        Ok(Self { url, code, created_at: parts.created_at, lifetime: parts.lifetime() })
    }

    /// When the link and the code expire.
    pub(super) fn expires_at(&self) -> DateTime<Utc> {
        self.created_at + TimeDelta::from_std(self.lifetime).unwrap_or_default()
    }

    /// Takes a complete link that an earlier version of the worker sealed. The mail shows no code.
    pub(crate) fn from_text(url: String, age: Duration, lifetime: Duration) -> Self {
        let created_at = Utc::now() - TimeDelta::from_std(age).unwrap_or_default();
        Self { url: Some(url), code: None, created_at, lifetime }
    }
}
