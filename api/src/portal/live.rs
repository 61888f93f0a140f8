//! The settings that the api reads again on SIGHUP: the portals and the messages of the confirm page. Each request uses a
//! single snapshot of these settings.

use words::{Words, WordsFolder};

use super::{Portal, PortalList};

/// Settings that were read and checked together.
#[derive(Debug)]
pub(crate) struct LiveSettings {
    pub(crate) portals: PortalList,
    /// The messages of each portal, in all languages in which its mails can be sent.
    pub(crate) words: WordsFolder,
}

impl LiveSettings {
    /// Returns the messages of a portal. `None` stands for the messages that all portals share.
    pub(crate) fn words_of(&self, portal: Option<&Portal>) -> &Words {
        let id = portal.and_then(|portal| portal.id.as_ref());
        id.map_or(&self.words.common, |id| self.words.of_portal(id.as_str()))
    }
}
