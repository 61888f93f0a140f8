//! Tests of whole sentences in each language, with formatted dates, times and durations.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use words::{
    Clock, Language, TimeZone, Value, Words, WordsError, days_between, format_clock, format_date, format_duration,
};

/// A sentence from a mail that was requested at `requested`, with times in `zone`. The mail's link is valid for an
/// hour.
fn sentence(id: &str, language: Language, zone: &str, requested: &str) -> String {
    let (words, lifetime) = (Words::built_in(), Duration::from_hours(1));
    let zone: TimeZone = zone.parse().unwrap();
    let requested: DateTime<Utc> = requested.parse().unwrap();
    let until = requested + TimeDelta::hours(1);
    let texts = [
        ("host", "portal.example.com".to_owned()),
        ("time", format_clock(language, zone, requested, Clock::Seconds).unwrap()),
        ("date", format_date(language, zone, requested).unwrap()),
        ("until", format_clock(language, zone, until, Clock::Minutes).unwrap()),
        ("until-date", format_date(language, zone, until).unwrap()),
        ("lifetime", format_duration(&words, language, lifetime).unwrap()),
    ];
    let mut args: Vec<(&str, Value<'_>)> = texts.iter().map(|(name, text)| (*name, Value::Text(text))).collect();
    args.push(("days", Value::Count(days_between(zone, requested, until))));
    words.text(language, id, &args).unwrap()
}

#[test]
fn each_language_shows_when_a_link_was_requested() {
    for (language, zone, expected) in [
        (
            Language::ENGLISH,
            "America/New_York",
            "Somebody asked for this link at 10:05:30\u{202f}AM EST on November 26, 2026. If that was you, sign in here:",
        ),
        (
            Language::GERMAN,
            "Europe/Berlin",
            "Jemand hat am 26. November 2026 um 16:05:30 MEZ diesen Link angefordert. Wenn Sie das waren, melden Sie sich hier an:",
        ),
        (
            Language::FRENCH,
            "Europe/Paris",
            "Quelqu’un a demandé ce lien le 26 novembre 2026 à 16:05:30 UTC+1. Si c’était vous, connectez-vous ici\u{a0}:",
        ),
        (
            Language::SPANISH,
            "Europe/Madrid",
            "Alguien solicitó este enlace el 26 de noviembre de 2026 a las 16:05:30 CET. Si fue usted, inicie sesión aquí:",
        ),
        (
            Language::ARABIC,
            "UTC",
            "طُلب هذا الرابط عند الساعة \u{2068}3:05:30 م التوقيت العالمي\u{2069} بتاريخ \u{2068}26 نوفمبر 2026\u{2069}. إذا كان الطلب منك، فسجّل الدخول من هنا:",
        ),
    ] {
        assert_eq!(sentence("mail-request-link", language, zone, "2026-11-26T15:05:30Z"), expected);
    }
}

#[test]
fn each_language_shows_how_long_a_link_works() {
    for (language, requested, expected) in [
        (Language::ENGLISH, "2026-11-26T15:05:30Z", "The link works once, for 60 minutes, until 17:05 CET."),
        (
            Language::ENGLISH,
            "2026-11-26T22:35:30Z",
            "The link works once, for 60 minutes, until 00:35 CET on 27 November 2026.",
        ),
        (Language::GERMAN, "2026-11-26T15:05:30Z", "Der Link funktioniert einmal, 60 Minuten lang, bis 17:05 MEZ."),
        (
            Language::GERMAN,
            "2026-11-26T22:35:30Z",
            "Der Link funktioniert einmal, 60 Minuten lang, bis zum 27. November 2026 um 00:35 MEZ.",
        ),
        (
            Language::FRENCH,
            "2026-11-26T15:05:30Z",
            "Le lien fonctionne une seule fois, pendant 60 minutes, jusqu’à 17:05 UTC+1.",
        ),
        (
            Language::FRENCH,
            "2026-11-26T22:35:30Z",
            "Le lien fonctionne une seule fois, pendant 60 minutes, jusqu’au 27 novembre 2026 à 00:35 UTC+1.",
        ),
        (
            Language::SPANISH,
            "2026-11-26T15:05:30Z",
            "El enlace funciona una sola vez, durante 60 minutos, hasta las 17:05 CET.",
        ),
        (
            Language::SPANISH,
            "2026-11-26T22:35:30Z",
            "El enlace funciona una sola vez, durante 60 minutos, hasta el 27 de noviembre de 2026 a las 00:35 CET.",
        ),
        (
            Language::ARABIC,
            "2026-11-26T15:05:30Z",
            "يعمل الرابط مرة واحدة فقط، لمدة \u{2068}60 دقيقة\u{2069}، حتى الساعة \u{2068}5:05 م غرينتش\u{200e}+1\u{2069}.",
        ),
        (
            Language::ARABIC,
            "2026-11-26T22:35:30Z",
            "يعمل الرابط مرة واحدة فقط، لمدة \u{2068}60 دقيقة\u{2069}، حتى الساعة \u{2068}12:35 ص غرينتش\u{200e}+1\u{2069} بتاريخ \u{2068}27 نوفمبر 2026\u{2069}.",
        ),
    ] {
        assert_eq!(sentence("mail-link-works", language, "Europe/Berlin", requested), expected);
    }
}

#[test]
fn errors_include_the_language_the_message_and_the_line() {
    let words = Words::built_in();
    assert_eq!(
        words.text(Language::GERMAN, "mail-headline", &[]).unwrap_err().to_string(),
        "the language de has no message `mail-headline`"
    );
    let error = words.text(Language::GERMAN, "mail-heading", &[]).unwrap_err();
    assert!(matches!(error, WordsError::BrokenMessage { line: 35, .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "the message `mail-heading` in the language de (de.ftl:35) is broken: Unknown variable: $host"
    );
    let italian: Language = "it".parse().unwrap();
    let error = words.text(italian, "mail-heading", &[]).unwrap_err();
    assert_eq!(error.to_string(), "there are no messages in the language it");
}

#[test]
fn several_threads_format_messages_concurrently() {
    let words = Words::built_in();
    let threads = (0..8).map(|number| {
        let words = words.clone();
        std::thread::spawn(move || {
            let language = Language::ALL[number % Language::ALL.len()];
            let texts = (0..100).map(|_| format_duration(&words, language, Duration::from_secs(5_400)).unwrap());
            texts.collect::<std::collections::BTreeSet<_>>().len()
        })
    });
    let threads: Vec<_> = threads.collect();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap() == 1));
}
