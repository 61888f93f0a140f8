//! The person who reads the mail.

use words::{Language, TimeZone};

use super::context::DeliveryRun;

impl DeliveryRun<'_> {
    /// The language of the mail and of its confirm page. English, because jobs do not say which one the person speaks.
    #[expect(clippy::unused_self, reason = "the job is what could say it")]
    pub(super) fn language(&self) -> Language {
        Language::ENGLISH
    }

    /// The time zone of the mail. UTC, because jobs do not say where the person is.
    #[expect(clippy::unused_self, reason = "the job is what could say it")]
    pub(super) fn time_zone(&self) -> TimeZone {
        TimeZone::UTC
    }
}
