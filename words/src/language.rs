//! A language that mails and pages can be written in.

use std::{fmt, str::FromStr};

use icu_locale::{
    LanguageIdentifier, Locale, LocaleCanonicalizer, LocaleDirectionality, LocaleExpander,
    subtags::{self, Region, Script, Variants},
};

/// A canonicalizer for all languages in CLDR. Its data is compiled into the program.
const CANONICALIZER: LocaleCanonicalizer = LocaleCanonicalizer::new_extended();
const DIRECTIONALITY: LocaleDirectionality = LocaleDirectionality::new_extended();
pub(crate) const EXPANDER: LocaleExpander = LocaleExpander::new_extended();

/// A language, with a script and a region if its tag names them: `de`, `zh-Hant`, `pt-BR`.
///
/// The value consists of the parts of its tag, so it is small and can be copied, and a language that an operator adds needs no
/// number or registry. [`Words::offered`](crate::Words::offered) returns the languages that have words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language {
    language: subtags::Language,
    script: Option<Script>,
    region: Option<Region>,
}

/// Why a string is not the tag of a language.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTag {
    /// Not a tag, or a tag with more than a language, a script and a region.
    #[error("is not a language tag such as `de`, `zh-Hant` or `pt-BR`")]
    Malformed,
    /// The tag is not in its canonical form, which this variant contains.
    #[error("is not the canonical tag, which is `{0}`")]
    NotCanonical(String),
}

impl Language {
    /// English, the default for people whose language is not known.
    pub const ENGLISH: Self = Self::built_in(subtags::language!("en"));
    /// German.
    pub const GERMAN: Self = Self::built_in(subtags::language!("de"));
    /// French.
    pub const FRENCH: Self = Self::built_in(subtags::language!("fr"));
    /// Spanish.
    pub const SPANISH: Self = Self::built_in(subtags::language!("es"));
    /// Arabic.
    pub const ARABIC: Self = Self::built_in(subtags::language!("ar"));

    /// The built-in languages, English first.
    pub const ALL: [Self; 5] = [Self::ENGLISH, Self::GERMAN, Self::FRENCH, Self::SPANISH, Self::ARABIC];

    const fn built_in(language: subtags::Language) -> Self {
        Self { language, script: None, region: None }
    }

    /// The BCP 47 tag, for `lang` in HTML and for a database: `de`.
    #[must_use]
    pub fn tag(self) -> String {
        self.to_string()
    }

    /// `ltr` or `rtl`, for `dir` in HTML.
    #[must_use]
    pub fn direction(self) -> &'static str {
        if self.is_right_to_left() { "rtl" } else { "ltr" }
    }

    /// Whether the language is written from right to left. False for languages that CLDR does not know.
    #[must_use]
    pub fn is_right_to_left(self) -> bool {
        DIRECTIONALITY.is_right_to_left(&self.id())
    }

    pub(crate) fn id(self) -> LanguageIdentifier {
        let Self { language, script, region } = self;
        LanguageIdentifier { language, script, region, variants: Variants::new() }
    }

    /// The language with its likely script and region: `zh-Hant-TW` for `zh-TW`.
    pub(crate) fn maximized(self) -> LanguageIdentifier {
        let mut id = self.id();
        EXPANDER.maximize(&mut id);
        id
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id())
    }
}

impl FromStr for Language {
    type Err = UnknownTag;

    /// Parses an exact tag, as [`Language::tag`] writes it and a database stores it. For tags in requests, use
    /// [`choose_language`](crate::choose_language).
    fn from_str(tag: &str) -> Result<Self, UnknownTag> {
        let id = canonical(tag).ok_or(UnknownTag::Malformed)?;
        let LanguageIdentifier { language, script, region, variants } = &id;
        if language.is_unknown() || !variants.is_empty() {
            return Err(UnknownTag::Malformed);
        }
        match id.to_string() {
            canonical if canonical == tag => Ok(Self { language: *language, script: *script, region: *region }),
            canonical => Err(UnknownTag::NotCanonical(canonical)),
        }
    }
}

/// The language of a tag without extensions, with today's codes: `he` for `iw`. `None` if the text is not a tag.
pub(crate) fn canonical(tag: &str) -> Option<LanguageIdentifier> {
    let mut locale = Locale { id: Locale::try_from_str(tag).ok()?.id, extensions: Default::default() };
    CANONICALIZER.canonicalize(&mut locale);
    Some(locale.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_its_exact_tag() {
        for tag in ["en", "de", "fr", "es", "ar", "zh-Hant", "pt-BR", "he", "sr-Latn-RS", "tlh", "es-419"] {
            assert_eq!(tag.parse::<Language>().unwrap().tag(), tag);
        }
        for language in Language::ALL {
            assert_eq!(language.tag().parse(), Ok(language));
        }
        for (tag, canonical) in [("EN", "en"), ("zh-hant", "zh-Hant"), ("iw", "he"), ("de-u-nu-latn", "de")] {
            assert_eq!(tag.parse::<Language>(), Err(UnknownTag::NotCanonical(canonical.to_owned())), "{tag}");
        }
        for tag in ["", "und", "e", "de-1996", "../etc", "*", "de_", "Deutsch!", "x-foo", "de\n", " de", "\0"] {
            assert_eq!(tag.parse::<Language>(), Err(UnknownTag::Malformed), "{tag:?}");
        }
    }

    #[test]
    fn only_some_languages_are_written_from_right_to_left() {
        for (tag, direction) in [
            ("en", "ltr"),
            ("de", "ltr"),
            ("fr", "ltr"),
            ("es", "ltr"),
            ("ar", "rtl"),
            ("he", "rtl"),
            ("fa", "rtl"),
            ("pa", "ltr"),
            ("pa-Arab", "rtl"),
            ("az-Latn-IR", "ltr"),
            ("tlh", "ltr"),
        ] {
            assert_eq!(tag.parse::<Language>().unwrap().direction(), direction, "{tag}");
        }
    }
}
