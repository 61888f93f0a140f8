//! The texts of mails and pages, in all languages.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    built_in::{self, Arguments},
    catalogue::Catalogue,
    check,
    fault::{Fault, WordsError},
    language::Language,
    part::{Part, Value},
};

/// An operator's own words for a language. They replace built-in messages, or add a language.
#[derive(Debug, Clone)]
pub struct OperatorCatalogue {
    /// The name of the file, for error messages.
    pub file: String,
    /// The language.
    pub language: Language,
    /// Messages in Fluent syntax (<https://projectfluent.org>).
    pub text: String,
}

/// The words of all offered languages. Clones share the data, and several threads can read it concurrently.
#[derive(Clone)]
pub struct Words(Arc<Languages>);

struct Languages {
    catalogues: Vec<Catalogue>,
    /// The sources of the operator's catalogues, in the order in which they were applied.
    operators: Vec<(Language, String)>,
}

impl Words {
    /// The built-in languages.
    #[must_use]
    pub fn built_in() -> Self {
        let catalogue = |language| Catalogue::new(language, built_in::source(language).into_iter().collect());
        Self(Arc::new(Languages { catalogues: Language::ALL.map(catalogue).into(), operators: vec![] }))
    }

    /// The built-in languages, with an operator's words added. If a language that is not built in lacks a message, its
    /// readers get that message in English.
    ///
    /// # Errors
    /// All faults in all catalogues, by file and line.
    pub fn with_overrides(catalogues: &[OperatorCatalogue]) -> Result<Self, Vec<Fault>> {
        Self::with_layers(&[catalogues])
    }

    /// The built-in languages with several layers of an operator's words. Messages in later layers override those in
    /// earlier layers.
    ///
    /// # Errors
    /// All faults in all catalogues, by file and line.
    pub fn with_layers(layers: &[&[OperatorCatalogue]]) -> Result<Self, Vec<Fault>> {
        let messages = built_in::messages();
        let mut faults: Vec<Fault> = layers.iter().flat_map(|layer| repeated_languages(layer)).collect();
        let mut languages = Language::ALL.to_vec();
        for own in layers.iter().copied().flatten() {
            if !languages.contains(&own.language) {
                languages.push(own.language);
            }
        }
        let mut words = Languages { catalogues: vec![], operators: vec![] };
        for language in languages {
            let of_language = |layer: &'_ &[OperatorCatalogue]| layer.iter().position(|own| own.language == language);
            let own: Vec<&OperatorCatalogue> =
                layers.iter().filter_map(|layer| of_language(layer).map(|position| &layer[position])).collect();
            words.operators.extend(own.iter().map(|own| (language, own.text.clone())));
            match catalogue(language, &own, &messages) {
                Ok(catalogue) => words.catalogues.push(catalogue),
                Err(found) => faults.extend(found),
            }
        }
        faults.sort();
        if faults.is_empty() { Ok(Self(Arc::new(words))) } else { Err(faults) }
    }

    /// The sources of the operator's catalogues, each with its language. Together with the built-in words, they
    /// determine every message.
    pub fn operators_texts(&self) -> impl Iterator<Item = (Language, &str)> {
        self.0.operators.iter().map(|(language, text)| (*language, text.as_str()))
    }

    /// The languages that have words, English first.
    #[must_use]
    pub fn offered(&self) -> Vec<Language> {
        self.0.catalogues.iter().map(|catalogue| catalogue.language).collect()
    }

    /// Whether there are words for a language.
    #[must_use]
    pub fn has(&self, language: Language) -> bool {
        self.0.catalogues.iter().any(|catalogue| catalogue.language == language)
    }

    /// Whether the catalogue of a language contains a message. If not, readers of the language get the English message.
    #[must_use]
    pub fn defines(&self, language: Language, id: &str) -> bool {
        self.0.catalogues.iter().any(|catalogue| catalogue.language == language && catalogue.has(id))
    }

    /// Formats a message as text. In languages that are written from right to left, each value is between U+2068 and
    /// U+2069, so that a host name does not change the order of the words around it. Other languages do without these
    /// invisible characters: values are names, dates and addresses, which are nearly always written from left to right,
    /// and some mail programs show the characters as boxes.
    ///
    /// # Errors
    /// The language or the message does not exist, or the message cannot be formatted.
    pub fn text(&self, language: Language, id: &str, args: &[(&str, Value<'_>)]) -> Result<String, WordsError> {
        let catalogue = self.catalogue(language, id)?;
        let is_isolated = catalogue.language.is_right_to_left();
        let text = |part: &Part<'_>| match part {
            Part::Value { text, .. } if is_isolated => format!("\u{2068}{text}\u{2069}"),
            part => part.text().to_owned(),
        };
        Ok(catalogue.parts(id, args)?.iter().map(text).collect())
    }

    /// Formats a message in parts, so that a template can mark up its values.
    ///
    /// # Errors
    /// The language or the message does not exist, or the message cannot be formatted.
    pub fn parts<'a>(
        &self,
        language: Language,
        id: &str,
        args: &[(&'a str, Value<'a>)],
    ) -> Result<Vec<Part<'a>>, WordsError> {
        self.catalogue(language, id)?.parts(id, args)
    }

    /// The catalogue from which readers of a language get a message: that language's own, or the English one if the
    /// language lacks the message.
    fn catalogue(&self, language: Language, id: &str) -> Result<&Catalogue, WordsError> {
        let find = |language| self.0.catalogues.iter().find(|catalogue| catalogue.language == language);
        let own = find(language).ok_or(WordsError::UnknownLanguage { language })?;
        let english = find(Language::ENGLISH).filter(|english| !own.has(id) && english.has(id));
        Ok(english.unwrap_or(own))
    }
}

/// The catalogue of a language: the built-in words, if there are any, and the operator's words. Later sources override
/// earlier ones.
fn catalogue(
    language: Language,
    own: &[&OperatorCatalogue],
    messages: &BTreeMap<String, Arguments>,
) -> Result<Catalogue, Vec<Fault>> {
    let built_in = built_in::source(language);
    let (mut sources, mut faults) = (vec![], vec![]);
    for own in own {
        match check::parse(own, built_in.as_ref(), messages) {
            Ok(source) => sources.push(source),
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let catalogue = Catalogue::new(language, built_in.into_iter().chain(sources).collect());
    let faults = check::rehearse(&catalogue, messages);
    if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
}

fn repeated_languages(catalogues: &[OperatorCatalogue]) -> Vec<Fault> {
    let mut seen = BTreeSet::new();
    let repeated = catalogues.iter().filter(|catalogue| !seen.insert(catalogue.language.tag()));
    repeated
        .map(|catalogue| {
            let problem = format!("Another file already has messages for the language {}.", catalogue.language);
            Fault::new(&catalogue.file, 1, problem)
        })
        .collect()
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Words").field(&self.offered()).finish()
    }
}
