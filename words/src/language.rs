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

/// A language, with a script and a region if its tag includes them: `de`, `zh-Hant`, `pt-BR`.
///
/// The value consists only of the parts of a tag, so it is small and `Copy`. A language that an operator adds does not
/// have to be registered. [`Words::offered`](crate::Words::offered) returns the languages that have words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Language {
    language: subtags::Language,
    script: Option<Script>,
    region: Option<Region>,
}

/// Why a string is not accepted as a language tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownTag {
    /// The string is not a language tag, or the tag has a variant (`de-1996`) or no language (`und`).
    #[error("is not a language tag such as `de`, `zh-Hant` or `pt-BR`")]
    Malformed,
    /// The tag is not canonical. The field contains the canonical tag.
    #[error("is not a canonical language tag: use `{0}`")]
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

    /// The BCP 47 tag, for HTML's `lang` attribute and for the database: `de`.
    #[must_use]
    pub fn tag(self) -> String {
        self.to_string()
    }

    /// `ltr` or `rtl`, for HTML's `dir` attribute.
    #[must_use]
    pub fn direction(self) -> &'static str {
        if self.is_right_to_left() { "rtl" } else { "ltr" }
    }

    /// Whether the language is written from right to left. False for languages that are not in CLDR.
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

    /// Parses a canonical tag, as returned by [`Language::tag`] and stored in the database. For tags in requests, use
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

/// The canonical form of a tag, without extensions and with current codes: `he` for `iw`. `None` if the text is not a
/// tag.
pub(crate) fn canonical(tag: &str) -> Option<LanguageIdentifier> {
    let mut locale = Locale { id: Locale::try_from_str(tag).ok()?.id, extensions: Default::default() };
    CANONICALIZER.canonicalize(&mut locale);
    Some(locale.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_tag_is_a_language() {
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
    fn the_direction_follows_the_language_and_its_script() {
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
