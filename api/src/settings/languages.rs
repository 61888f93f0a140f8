//! `LANGUAGES`: the languages in which mails are offered.

use std::str::FromStr;

use words::Language;

/// One or more languages. The first one is for people who read none of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfferedLanguages(Vec<Language>);

impl OfferedLanguages {
    /// All languages, the default first.
    pub(crate) fn as_slice(&self) -> &[Language] {
        &self.0
    }
}

impl FromStr for OfferedLanguages {
    type Err = String;

    /// Parses tags that are separated by commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut languages = vec![];
        for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
            let language = Language::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag));
            let language = language.ok_or_else(|| format!("`{tag}` is not one of {}", known_tags()))?;
            if languages.contains(&language) {
                return Err(format!("names `{tag}` twice"));
            }
            languages.push(language);
        }
        if languages.is_empty() { Err("names no language".to_owned()) } else { Ok(Self(languages)) }
    }
}

fn known_tags() -> String {
    Language::ALL.map(|language| language.tag()).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_keep_their_order() {
        let tags = |text: &str| -> Result<Vec<String>, String> {
            let languages: OfferedLanguages = text.parse()?;
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
