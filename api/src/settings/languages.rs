//! `LANGUAGES`: the languages in which mails are offered.

use program::SettingErrors;
use words::{Language, Words};

/// One or more languages. The first one is for people who read none of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferedLanguages(Vec<Language>);

impl OfferedLanguages {
    /// Offers only `language`.
    #[cfg(test)]
    pub(crate) fn of(language: Language) -> Self {
        Self(vec![language])
    }

    /// All languages, the default first.
    pub(crate) fn as_slice(&self) -> &[Language] {
        &self.0
    }
}

impl From<Vec<Language>> for OfferedLanguages {
    /// `languages` must not be empty.
    fn from(languages: Vec<Language>) -> Self {
        Self(languages)
    }
}

/// Reads `LANGUAGES`.
pub(super) fn read(text: &str, words: &Words, errors: &mut SettingErrors) -> Option<OfferedLanguages> {
    errors.read("LANGUAGES", "en,de", parse(text, &words.offered()))
}

/// Parses one or more different tags, separated by commas. Each must be one of `known`.
fn parse(text: &str, known: &[Language]) -> Result<OfferedLanguages, String> {
    let mut languages = vec![];
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let language = known.iter().copied().find(|language| language.tag().eq_ignore_ascii_case(tag));
        let language = language.ok_or_else(|| format!("`{tag}` is not one of {}", tags(known)))?;
        if languages.contains(&language) {
            return Err(format!("contains `{tag}` twice"));
        }
        languages.push(language);
    }
    if languages.is_empty() { Err("contains no language".to_owned()) } else { Ok(OfferedLanguages(languages)) }
}

fn tags(languages: &[Language]) -> String {
    languages.iter().map(|language| language.tag()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_keep_their_order() {
        let tags = |text: &str| -> Result<Vec<String>, String> {
            let languages = parse(text, &Language::ALL)?;
            Ok(languages.as_slice().iter().map(|language| language.tag()).collect())
        };
        assert_eq!(tags("en"), Ok(vec!["en".to_owned()]));
        assert_eq!(tags(" de, EN,ar,"), Ok(vec!["de".to_owned(), "en".to_owned(), "ar".to_owned()]));
        for (text, problem) in [
            ("", "contains no language"),
            (",", "contains no language"),
            ("en,it", "`it` is not one of en, de, fr, es, ar"),
            ("../../etc", "`../../etc` is not one of en, de, fr, es, ar"),
            ("en,de,en", "contains `en` twice"),
        ] {
            assert_eq!(tags(text), Err(problem.to_owned()));
        }
    }
}
