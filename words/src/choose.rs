//! Chooses a language and a time zone for a request. Values that cannot be parsed are ignored, so that they never make
//! a request fail.

use icu_locale::{
    LanguageIdentifier,
    fallback::{LocaleFallbackConfig, LocaleFallbacker},
};

use super::{
    accept_language,
    language::{EXPANDER, Language, canonical},
    time_zone::TimeZone,
};

/// Maximum length of a tag, in bytes. Longer tags are ignored. RFC 5646, §4.4.1, recommends a limit of at least 35.
const LONGEST_TAG: usize = 100;

/// Chooses the language in which to write to a person. This is the language in `offered` that fits `locale` (a BCP 47
/// tag from the request), or else the one that fits a range in the `Accept-Language` header. If no language fits, it is
/// the first language in `offered`. If `offered` is empty, it is English.
#[must_use]
pub fn choose_language(locale: Option<&str>, accept_language: Option<&str>, offered: &[Language]) -> Language {
    let ranges = accept_language.map(accept_language::ranges).unwrap_or_default();
    let mut tags = locale.into_iter().chain(ranges);
    let chosen = tags.find_map(|tag| best_match(tag, offered)).or_else(|| offered.first().copied());
    chosen.unwrap_or(Language::ENGLISH)
}

/// Returns the time zone with the IANA name `name`, or `default` if there is no name or no zone with that name.
#[must_use]
pub fn choose_time_zone(name: Option<&str>, default: TimeZone) -> TimeZone {
    name.and_then(|name| name.parse().ok()).unwrap_or(default)
}

/// Returns the offered language that is nearest to a tag. Returns `None` if the tag is too long, is malformed or has no
/// language, or if no offered language is a CLDR fallback of the tag or has the tag's language and script.
fn best_match(tag: &str, offered: &[Language]) -> Option<Language> {
    if tag.len() > LONGEST_TAG {
        return None;
    }
    // Some programs send the name of a POSIX locale, such as `de_AT`.
    let requested = canonical(&tag.replace('_', "-")).filter(|id| !id.language.is_unknown())?;
    let find = |ids: &[LanguageIdentifier]| {
        ids.iter().find_map(|id| offered.iter().copied().find(|language| language.maximized() == *id))
    };
    find(&ancestors(&requested)).or_else(|| of_same_script(&requested, offered))
}

/// The tag and its fallbacks in CLDR, such as `es-MX`, `es-419` and `es`, each completed with its likely script and
/// region.
fn ancestors(requested: &LanguageIdentifier) -> Vec<LanguageIdentifier> {
    let without_variants = LanguageIdentifier { variants: Default::default(), ..requested.clone() };
    let fallbacker = LocaleFallbacker::new().for_config(LocaleFallbackConfig::default());
    let mut chain = fallbacker.fallback_for((&without_variants).into());
    let mut ancestors = vec![];
    while !chain.get().is_unknown() {
        let mut id = chain.get().into_locale().id;
        EXPANDER.maximize(&mut id);
        ancestors.push(id);
        chain.step();
    }
    ancestors
}

/// Returns the first offered language that differs from the requested one at most in its region. The script must be the
/// same: not everybody who reads Serbian in Latin letters can read Cyrillic.
fn of_same_script(requested: &LanguageIdentifier, offered: &[Language]) -> Option<Language> {
    let mut requested = requested.clone();
    EXPANDER.maximize(&mut requested);
    offered.iter().copied().find(|language| {
        let offered = language.maximized();
        (offered.language, offered.script) == (requested.language, requested.script)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn languages(tags: &str) -> Vec<Language> {
        tags.split(' ').map(|tag| tag.parse().unwrap()).collect()
    }

    fn choose(locale: Option<&str>, header: Option<&str>, offered: &str) -> String {
        choose_language(locale, header, &languages(offered)).tag()
    }

    #[test]
    fn the_locale_of_the_request_takes_precedence_over_the_header() {
        for (locale, header, expected) in [
            (Some("de"), Some("fr"), "de"),
            (Some("DE-at"), None, "de"),
            (Some("de_CH"), None, "de"),
            (Some("de-1996-x-foo"), None, "de"),
            (Some("de-Latn-DE-u-nu-latn-hc-h12"), None, "de"),
            (Some("ar-EG-u-nu-arab"), None, "ar"),
            (Some("es-419"), None, "es"),
            (Some("zh-Hant-TW"), Some("fr-CA, en;q=0.5"), "fr"),
            (Some("zh-Hant-TW"), Some("ja;q=0.9, ar;q=0.1"), "ar"),
            (None, Some("xx, de;q=0.2, es;q=0.3"), "es"),
            (None, Some("de;q=0, fr;q=0.1"), "fr"),
            (None, Some("*"), "en"),
            (None, None, "en"),
        ] {
            assert_eq!(choose(locale, header, "en de fr es ar"), expected, "{locale:?} {header:?}");
        }
    }

    #[test]
    fn the_nearest_language_is_chosen() {
        for (locale, offered, expected) in [
            ("pt-PT", "en pt-BR pt-PT", "pt-PT"),
            ("pt-AO", "en pt-BR pt-PT", "pt-PT"),
            ("pt", "en pt-PT pt-BR", "pt-BR"),
            ("pt-BR", "en pt-PT", "pt-PT"),
            ("en-AU", "de en-US en-001", "en-001"),
            ("es-MX", "en es es-419", "es-419"),
            ("zh-TW", "en zh zh-Hant", "zh-Hant"),
            ("zh-Hant", "en zh zh-TW", "zh-TW"),
            ("zh-HK", "en zh zh-TW", "zh-TW"),
            ("zh-Hant-HK", "en zh", "en"),
            ("sr-Latn", "en sr", "en"),
            ("sr-ME", "en sr sr-Latn", "sr-Latn"),
            ("iw", "en he", "he"),
            ("iw-IL", "en he", "he"),
            ("in", "en id", "id"),
            ("nb-NO", "en no", "no"),
            ("tlh", "en de", "en"),
        ] {
            assert_eq!(choose(Some(locale), None, offered), expected, "{locale} of {offered}");
        }
    }

    #[test]
    fn an_invalid_tag_is_ignored() {
        let long = "de-".repeat(400);
        for hostile in
            ["", "-", "*", "../../etc/passwd", "de\r\nX: y", "\0", "dé", "und", "x-foo", "i-klingon", "d", "123", &long]
        {
            assert_eq!(choose(Some(hostile), None, "fr de"), "fr", "{hostile:?}");
            assert_eq!(choose(Some(hostile), Some("de"), "fr de"), "de", "{hostile:?}");
            assert_eq!(choose(None, Some(hostile), "fr de"), "fr", "{hostile:?}");
        }
        assert_eq!(choose_language(Some("de"), None, &[]), Language::ENGLISH);
    }

    #[test]
    fn an_unknown_time_zone_is_replaced_by_the_default() {
        let vienna: TimeZone = "Europe/Vienna".parse().unwrap();
        for default in [TimeZone::UTC, vienna] {
            assert_eq!(choose_time_zone(Some("europe/berlin"), default).name(), "Europe/Berlin");
            for name in [None, Some(""), Some("Mars/Olympus"), Some("../../etc/localtime")] {
                assert_eq!(choose_time_zone(name, default), default, "{name:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_chosen_language_is_always_an_offered_one(
            locale in proptest::option::of(".{0,60}"), header in proptest::option::of(".{0,300}"),
        ) {
            let offered = languages("de zh-Hant ar");
            let chosen = choose_language(locale.as_deref(), header.as_deref(), &offered);
            prop_assert!(offered.contains(&chosen));
        }

        #[test]
        fn an_offered_language_is_chosen_for_every_well_formed_tag(
            tag in "[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2}|-[0-9]{3})?(-[a-z0-9]{5,8})?(-u-[a-z0-9]{2}(-[a-z0-9]{3,8})?)?",
        ) {
            let offered = languages("de zh-Hant ar");
            prop_assert!(offered.contains(&choose_language(Some(&tag), Some(&tag), &offered)));
        }

        #[test]
        fn choosing_a_time_zone_never_panics(name in ".{0,60}") {
            prop_assert!(!choose_time_zone(Some(&name), TimeZone::UTC).name().is_empty());
        }
    }
}
