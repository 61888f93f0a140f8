//! The text of one page: the messages in the page's language, with the page's values filled in.

use confirm::Content;
use words::{Language, Part, Value, Words, choose_language};

/// The text of a page. The templates call its methods.
pub(super) struct PageWords<'a> {
    words: &'a Words,
    language: Language,
    args: Vec<(&'a str, Value<'a>)>,
}

impl<'a> PageWords<'a> {
    /// Creates the text of a page whose messages contain no values.
    pub(super) fn new(words: &'a Words, language: Language) -> Self {
        Self { words, language, args: vec![] }
    }

    /// Creates the text of the page with the sign-in button.
    pub(super) fn of_content(words: &'a Words, language: Language, content: &'a Content) -> Self {
        let address = content.recipient.as_deref().map(|address| ("address", Value::Text(address)));
        let args = [("host", Value::Text(&content.shown_host))].into_iter().chain(address).collect();
        Self { words, language, args }
    }

    /// The value of the HTML `lang` attribute.
    pub(super) fn tag(&self) -> String {
        self.language.tag()
    }

    /// The value of the HTML `dir` attribute.
    pub(super) fn direction(&self) -> &'static str {
        self.language.direction()
    }

    /// Returns a message as text.
    pub(super) fn line(&self, id: &str) -> askama::Result<String> {
        self.words.text(self.language, id, &self.args).map_err(askama::Error::custom)
    }

    /// Returns a message in parts, so that the template can add markup around the values.
    pub(super) fn parts(&self, id: &str) -> askama::Result<Vec<Part<'a>>> {
        self.words.parts(self.language, id, &self.args).map_err(askama::Error::custom)
    }
}

/// Returns the language of the mail. If the program does not offer that language, returns a language that the browser
/// accepts, or else the first language on offer.
pub(super) fn language_of(content: &Content, accept_language: Option<&str>, words: &Words) -> Language {
    match &content.language {
        None => Language::ENGLISH,
        Some(tag) => choose_language(Some(tag), accept_language, &words.offered()),
    }
}
