//! The language and the time zone of the person who reads the mail.

use words::{Language, TimeZone};

use super::context::DeliveryRun;

impl DeliveryRun<'_> {
    /// The mail's language. English if the job has no language, or if this worker has no words for the job's language.
    pub(super) fn language(&self) -> Language {
        let language = self.job.language.as_deref().and_then(|tag| tag.parse().ok());
        language.filter(|language| self.worker.look.words.has(*language)).unwrap_or(Language::ENGLISH)
    }

    /// The time zone in which the mail shows times. UTC if the job has no time zone, or a time zone that this version of the
    /// worker does not know.
    pub(super) fn time_zone(&self) -> TimeZone {
        self.job.time_zone.as_deref().and_then(|name| name.parse().ok()).unwrap_or(TimeZone::UTC)
    }
}
