//! The look of the mail, and the language and the time zone of the person who reads it.

use std::sync::Arc;

use words::{Language, TimeZone};

use super::context::DeliveryRun;
use crate::mail::{link_parts::LinkParts, look::Look};

impl DeliveryRun<'_> {
    /// The look for a mail's first attempt.
    pub(super) fn current_look(&self) -> Arc<Look> {
        Arc::clone(&self.portal().look)
    }

    /// The look for a later attempt: the look in the mail's sealed link, or the current look if the earlier look is no
    /// longer loaded.
    pub(super) fn look_of(&self, parts: &LinkParts) -> Arc<Look> {
        let current = self.current_look();
        let Some(first) = parts.look.as_deref().filter(|first| *first != current.id()) else { return current };
        self.worker.looks.with_id(first).unwrap_or_else(|| {
            let now = current.id();
            tracing::debug!(
                first,
                now,
                "the look of the first mail is no longer loaded: the repeated mail may look different"
            );
            current
        })
    }

    /// The mail's language. English if the job has no language, or if the look has no words for the job's language.
    pub(super) fn language(&self, look: &Look) -> Language {
        let language = self.job.language.as_deref().and_then(|tag| tag.parse().ok());
        language.filter(|language| look.words.has(*language)).unwrap_or(Language::ENGLISH)
    }

    /// The time zone in which the mail shows times. UTC if the job has no time zone, or a time zone that this version
    /// of the worker does not support.
    pub(super) fn time_zone(&self) -> TimeZone {
        self.job.time_zone.as_deref().and_then(|name| name.parse().ok()).unwrap_or(TimeZone::UTC)
    }
}
