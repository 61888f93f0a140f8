//! What a mail shows of a link: the URL, the code, and how long the link and the code work.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{
    link_parts::LinkParts,
    link_url::{LinkContext, MissingConfirmKey},
};

/// What a mail shows of a link. Has no `Debug`, because anybody who has the link or the code can sign in.
#[derive(Clone)]
pub(crate) struct MailedLink {
    /// The link: printable ASCII without quotes or angle brackets. `None` if the mail contains only a code.
    pub url: Option<String>,
    /// The one-time code, if the mail shows it.
    pub code: Option<String>,
    /// When the link was requested from Supabase.
    pub created_at: DateTime<Utc>,
    /// How long the link and the code work after `created_at`.
    pub lifetime: Duration,
}

impl MailedLink {
    /// What a mail shows of a link with these parts.
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

    /// What a mail shows of a complete link that an earlier version of the worker sealed.
    pub(crate) fn from_text(url: String, age: Duration, lifetime: Duration) -> Self {
        let created_at = Utc::now() - TimeDelta::from_std(age).unwrap_or_default();
        Self { url: Some(url), code: None, created_at, lifetime }
    }
}
