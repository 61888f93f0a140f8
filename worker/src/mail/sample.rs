//! Example mails, for checks and previews.

use std::time::Duration;

use chrono::{DateTime, Utc};
use words::{Language, TimeZone, WordsError};

use super::{
    look::Look,
    mailed_link::MailedLink,
    render::{MailContent, RenderError, RenderedMail, RenderedParts, render, render_parts},
};

/// The host that example mails show.
pub(crate) const HOST: &str = "portal.example.com";
/// An example link of typical length. It leads nowhere.
pub(crate) const LINK: &str =
    "https://login.example.com/auth/confirm/AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";
/// An example code.
pub(crate) const CODE: &str = "0123456789";

/// Whether a mail contains a link, a code or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum MailStyle {
    /// A link.
    Link,
    /// A link and a code.
    LinkAndCode,
    /// A code.
    Code,
}

impl MailStyle {
    /// All styles.
    pub const ALL: [Self; 3] = [Self::Link, Self::LinkAndCode, Self::Code];

    /// `link`, `link-and-code` or `code`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::LinkAndCode => "link-and-code",
            Self::Code => "code",
        }
    }

    pub(crate) fn has_link(self) -> bool {
        self != Self::Code
    }

    pub(crate) fn has_code(self) -> bool {
        self != Self::Link
    }

    /// An example link, an example code or both, as this style requires, with a lifetime of one hour.
    pub(crate) fn example(self, link: &str, created_at: DateTime<Utc>) -> MailedLink {
        MailedLink {
            url: self.has_link().then(|| link.to_owned()),
            code: self.has_code().then(|| CODE.to_owned()),
            created_at,
            lifetime: Duration::from_hours(1),
        }
    }
}

/// Renders an example mail.
///
/// # Errors
/// The mail cannot be rendered.
pub(crate) fn sample(look: &Look, language: Language, style: MailStyle) -> Result<RenderedMail, RenderError> {
    let requested_at = Utc::now();
    render(look, &content(&style.example(LINK, requested_at), language, requested_at))
}

/// Renders an example mail. If one part fails, the others are still rendered.
///
/// # Errors
/// There are no words for the language, or a date, time or duration cannot be formatted.
pub(super) fn sample_parts(look: &Look, language: Language, style: MailStyle) -> Result<RenderedParts, WordsError> {
    let requested_at = Utc::now();
    render_parts(look, &content(&style.example(LINK, requested_at), language, requested_at))
}

fn content(link: &MailedLink, language: Language, requested_at: DateTime<Utc>) -> MailContent<'_> {
    MailContent { link, host: HOST, requested_at, language, time_zone: TimeZone::UTC }
}
