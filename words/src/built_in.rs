//! The catalogues that are part of the program. A test requires that all catalogues have the same messages with the
//! same arguments.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::FluentResource;

use super::{catalogue::Source, entries::entries, language::Language};

const CATALOGUES: [(Language, &str, &str); 5] = [
    (Language::ENGLISH, "en.ftl", include_str!("../catalogues/en.ftl")),
    (Language::GERMAN, "de.ftl", include_str!("../catalogues/de.ftl")),
    (Language::FRENCH, "fr.ftl", include_str!("../catalogues/fr.ftl")),
    (Language::SPANISH, "es.ftl", include_str!("../catalogues/es.ftl")),
    (Language::ARABIC, "ar.ftl", include_str!("../catalogues/ar.ftl")),
];

/// The arguments of a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The names of all arguments.
    pub names: BTreeSet<String>,
    /// The names of the arguments that select plural forms.
    pub counts: BTreeSet<String>,
}

/// The catalogue of a language. `None` if the language is not built in.
pub(crate) fn source(language: Language) -> Option<Source> {
    let (_, file, text) = CATALOGUES.into_iter().find(|(known, ..)| *known == language)?;
    let resource = FluentResource::try_new(text.to_owned()).unwrap_or_else(|(resource, _)| resource);
    Some(Source { file: file.to_owned(), resource })
}

/// The messages of mails and pages with their arguments, taken from the English catalogue.
pub(crate) fn messages() -> BTreeMap<String, Arguments> {
    messages_of(Language::ENGLISH)
}

fn messages_of(language: Language) -> BTreeMap<String, Arguments> {
    let source = source(language).expect("the language is built in");
    let entries = entries(source.resource.entries());
    let messages = entries.iter().filter(|entry| !entry.is_term);
    let owned = |names: &BTreeSet<&str>| names.iter().map(|name| (*name).to_owned()).collect();
    messages
        .map(|message| {
            let (names, counts) = (owned(&message.uses.arguments), owned(&message.uses.selectors));
            (message.id.to_owned(), Arguments { names, counts })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_catalogue_is_well_formed() {
        for (language, file, text) in CATALOGUES {
            let errors = FluentResource::try_new(text.to_owned()).err().map(|(_, errors)| errors);
            assert_eq!(errors, None, "{file}");
            assert_eq!(file, format!("{language}.ftl"));
        }
        assert_eq!(CATALOGUES.map(|(language, ..)| language), Language::ALL);
    }

    #[test]
    fn every_built_in_language_has_the_same_messages_with_the_same_arguments() {
        let english = messages();
        assert_eq!(english.len(), 46);
        for language in Language::ALL {
            assert_eq!(messages_of(language), english, "{language}");
        }
    }
}
