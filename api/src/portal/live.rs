//! The settings that the api reads again on SIGHUP: the portals and the words of the confirm page. A request uses one snapshot
//! of them from its beginning to its end.

use std::sync::{Arc, PoisonError, RwLock};

use words::Words;

use super::PortalList;

/// Settings that were read and checked together.
#[derive(Debug)]
pub(crate) struct LiveSettings {
    pub(crate) portals: PortalList,
    /// The messages in all languages in which mails can be sent.
    pub(crate) words: Words,
}

/// The current settings.
#[derive(Debug)]
pub(crate) struct Live(RwLock<Arc<LiveSettings>>);

impl Live {
    pub(crate) fn new(settings: Arc<LiveSettings>) -> Self {
        Self(RwLock::new(settings))
    }

    /// The settings that were read last.
    pub(crate) fn current(&self) -> Arc<LiveSettings> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the settings. Requests in flight keep the settings that they began with.
    pub(crate) fn replace(&self, settings: LiveSettings) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}
