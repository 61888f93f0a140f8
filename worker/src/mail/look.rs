//! Everything that determines how mails look, apart from their jobs.

use std::{collections::HashMap, sync::Arc};

use words::{Language, Words};

use super::templates::Templates;

/// How mails look: their words and their templates. Several threads may use it at once.
pub struct Look {
    /// The words, for every language in which mails can be written.
    pub(crate) words: Words,
    /// The templates of the languages that have templates of their own.
    templates: HashMap<Language, Arc<Templates>>,
    built_in: Arc<Templates>,
}

impl Look {
    /// A look with the built-in templates.
    #[must_use]
    pub fn with_words(words: Words) -> Self {
        Self { words, templates: HashMap::new(), built_in: Templates::built_in() }
    }

    /// The templates for a language.
    pub(crate) fn templates(&self, language: Language) -> &Arc<Templates> {
        self.templates.get(&language).unwrap_or(&self.built_in)
    }
}
