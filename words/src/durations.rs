//! Formats the lifetime of a link.

use std::time::Duration;

use icu_decimal::{
    DecimalFormatter, DecimalFormatterPreferences,
    input::Decimal,
    options::{DecimalFormatterOptions, GroupingStrategy},
};
use icu_locale::Locale;

use super::{
    cache::{Cache, with_cached},
    fault::WordsError,
    language::Language,
    part::{Part, Value},
    words::Words,
};

thread_local! {
    static NUMBERS: Cache<Language, DecimalFormatter> = Cache::default();
}

const MINUTES_AN_HOUR: u64 = 60;
const MINUTES_A_DAY: u64 = 24 * MINUTES_AN_HOUR;

/// Formats a duration in the largest unit that divides it evenly. A duration below two hours is in minutes, and a
/// duration of one day is `24 hours`. Seconds are left out.
///
/// # Errors
/// The duration cannot be formatted in the language.
pub fn format_duration(words: &Words, language: Language, duration: Duration) -> Result<String, WordsError> {
    let (id, count) = in_largest_unit(duration.as_secs() / 60);
    format_count(words, language, id, count)
}

fn in_largest_unit(minutes: u64) -> (&'static str, u64) {
    match minutes {
        0..120 => ("duration-minutes", minutes),
        _ if minutes.is_multiple_of(MINUTES_A_DAY) && minutes > MINUTES_A_DAY => {
            ("duration-days", minutes / MINUTES_A_DAY)
        }
        _ if minutes.is_multiple_of(MINUTES_AN_HOUR) => ("duration-hours", minutes / MINUTES_AN_HOUR),
        _ => ("duration-minutes", minutes),
    }
}

fn format_count(words: &Words, language: Language, id: &str, count: u64) -> Result<String, WordsError> {
    let number = format_number(language, count)?;
    let args = [("count", Value::Count(count)), ("number", Value::Text(&number))];
    let parts = words.parts(language, id, &args)?;
    Ok(parts.iter().map(Part::text).collect())
}

/// Formats a number with the digits of the language.
fn format_number(language: Language, number: u64) -> Result<String, WordsError> {
    let mut options = DecimalFormatterOptions::default();
    options.grouping_strategy = Some(GroupingStrategy::Never);
    let locale = Locale::from(language.id());
    let create = || DecimalFormatter::try_new(DecimalFormatterPreferences::from(&locale), options);
    with_cached(&NUMBERS, language, create, |formatter| formatter.format(&Decimal::from(number)).to_string())
        .map_err(|error| WordsError::no_data(language, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: [u64; 10] = [1, 2, 3, 10, 11, 15, 45, 60, 90, 120];
    const HOURS: [u64; 4] = [1, 2, 3, 11];
    const DAYS: [u64; 2] = [1, 2];

    #[track_caller]
    fn assert_counts(language: Language, minutes: [&str; 10], hours: [&str; 4], days: [&str; 2]) {
        let words = Words::built_in();
        let written = |id: &str, counts: &[u64]| {
            counts.iter().map(|count| format_count(&words, language, id, *count).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(written("duration-minutes", &MINUTES), minutes);
        assert_eq!(written("duration-hours", &HOURS), hours);
        assert_eq!(written("duration-days", &DAYS), days);
    }

    #[test]
    fn durations_in_english() {
        assert_counts(
            Language::ENGLISH,
            [
                "1 minute",
                "2 minutes",
                "3 minutes",
                "10 minutes",
                "11 minutes",
                "15 minutes",
                "45 minutes",
                "60 minutes",
                "90 minutes",
                "120 minutes",
            ],
            ["1 hour", "2 hours", "3 hours", "11 hours"],
            ["1 day", "2 days"],
        );
    }

    #[test]
    fn durations_in_german() {
        assert_counts(
            Language::GERMAN,
            [
                "1 Minute",
                "2 Minuten",
                "3 Minuten",
                "10 Minuten",
                "11 Minuten",
                "15 Minuten",
                "45 Minuten",
                "60 Minuten",
                "90 Minuten",
                "120 Minuten",
            ],
            ["1 Stunde", "2 Stunden", "3 Stunden", "11 Stunden"],
            ["1 Tag", "2 Tage"],
        );
    }

    #[test]
    fn durations_in_french() {
        assert_counts(
            Language::FRENCH,
            [
                "1 minute",
                "2 minutes",
                "3 minutes",
                "10 minutes",
                "11 minutes",
                "15 minutes",
                "45 minutes",
                "60 minutes",
                "90 minutes",
                "120 minutes",
            ],
            ["1 heure", "2 heures", "3 heures", "11 heures"],
            ["1 jour", "2 jours"],
        );
    }

    #[test]
    fn durations_in_spanish() {
        assert_counts(
            Language::SPANISH,
            [
                "1 minuto",
                "2 minutos",
                "3 minutos",
                "10 minutos",
                "11 minutos",
                "15 minutos",
                "45 minutos",
                "60 minutos",
                "90 minutos",
                "120 minutos",
            ],
            ["1 hora", "2 horas", "3 horas", "11 horas"],
            ["1 día", "2 días"],
        );
    }

    /// The durations are in the genitive, because they follow `لمدة` in the messages.
    #[test]
    fn durations_in_arabic() {
        assert_counts(
            Language::ARABIC,
            [
                "دقيقة واحدة",
                "دقيقتين",
                "3 دقائق",
                "10 دقائق",
                "11 دقيقة",
                "15 دقيقة",
                "45 دقيقة",
                "60 دقيقة",
                "90 دقيقة",
                "120 دقيقة",
            ],
            ["ساعة واحدة", "ساعتين", "3 ساعات", "11 ساعة"],
            ["يوم واحد", "يومين"],
        );
    }

    #[test]
    fn a_duration_is_written_in_minutes_hours_or_days() {
        for (minutes, text) in [
            (10, "10 minutes"),
            (60, "60 minutes"),
            (90, "90 minutes"),
            (120, "2 hours"),
            (1_440, "24 hours"),
            (2_880, "2 days"),
            (150, "150 minutes"),
            (10_001, "10001 minutes"),
        ] {
            let duration = Duration::from_secs(minutes * 60);
            assert_eq!(format_duration(&Words::built_in(), Language::ENGLISH, duration).unwrap(), text);
        }
    }

    #[test]
    fn numbers_use_the_digits_of_the_language() {
        assert_eq!(format_number("ar-EG".parse().unwrap(), 1_234).unwrap(), "١٢٣٤");
        assert_eq!(format_number("fa".parse().unwrap(), 60).unwrap(), "۶۰");
        assert_eq!(format_number(Language::ARABIC, 60).unwrap(), "60");
    }
}
