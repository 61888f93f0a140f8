//! `LANGUAGES` and `MAIL_TEMPLATES`: the languages in which mails are offered, and the folder with an operator's own messages.

use program::SettingErrors;
use words::{Language, Words, WordsFolder};

use super::ApiArguments;

/// One or more languages. The first one is for people who read none of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferedLanguages(Vec<Language>);

impl OfferedLanguages {
    /// All languages, the default first.
    pub(crate) fn as_slice(&self) -> &[Language] {
        &self.0
    }
}

/// Reads `MAIL_TEMPLATES`.
pub(super) fn read_words(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<Words> {
    let words = WordsFolder::from_setting(arguments.mail_templates.as_deref());
    errors.read_all("MAIL_TEMPLATES", "/etc/magic-link/templates", words).map(|folder| folder.common)
}

/// Reads `LANGUAGES`.
pub(super) fn read(arguments: &ApiArguments, words: &Words, errors: &mut SettingErrors) -> Option<OfferedLanguages> {
    errors.read("LANGUAGES", "en,de", parse(&arguments.languages, &words.offered()))
}

/// Parses tags that are separated by commas. Each must be one of `known`.
fn parse(text: &str, known: &[Language]) -> Result<OfferedLanguages, String> {
    let mut languages = vec![];
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let language = known.iter().copied().find(|language| language.tag().eq_ignore_ascii_case(tag));
        let language = language.ok_or_else(|| format!("`{tag}` is not one of {}", tags(known)))?;
        if languages.contains(&language) {
            return Err(format!("names `{tag}` twice"));
        }
        languages.push(language);
    }
    if languages.is_empty() { Err("names no language".to_owned()) } else { Ok(OfferedLanguages(languages)) }
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
            ("", "names no language"),
            (",", "names no language"),
            ("en,it", "`it` is not one of en, de, fr, es, ar"),
            ("../../etc", "`../../etc` is not one of en, de, fr, es, ar"),
            ("en,de,en", "names `en` twice"),
        ] {
            assert_eq!(tags(text), Err(problem.to_owned()));
        }
    }
}
