//! Quotas: a number of requests per window, enforced with GCRA (the generic cell rate algorithm).
//!
//! Each window has one theoretical arrival time (TAT). A request is accepted if moving the TAT forward by `window ÷
//! limit` leaves it at most one window ahead of the current time. Only an accepted request moves the TAT. This rule
//! allows a full burst first and an even rate afterwards, without a counter to reset.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::duration::parse_duration;

/// A maximum of `limit` requests per `window`. Written `10/15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests per window, at least 1.
    pub limit: u32,
    /// Length of the window, at least a second.
    pub window: Duration,
}

impl Quota {
    /// How much of the window one request uses up.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.window / self.limit
    }
}

impl FromStr for Quota {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (limit, window) =
            text.trim().split_once('/').ok_or_else(|| format!("`{text}` is not a quota like 10/15m"))?;
        match limit.parse() {
            Ok(limit @ 1..=1_000_000) => Ok(Self { limit, window: parse_duration(window)? }),
            _ => Err(format!("`{limit}` is not a valid number of requests: use a whole number from 1 to 1000000")),
        }
    }
}

/// Several quotas, all of which must allow a request. Written `10/15m,30/1d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas(Vec<Quota>);

impl FromStr for Quotas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Quotas {
    /// The quotas, in the order of the setting.
    pub fn iter(&self) -> impl Iterator<Item = &Quota> {
        self.0.iter()
    }

    /// How much of each window one request uses up.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().map(Quota::interval)
    }

    /// Returns the TATs after one more request, or the time to wait until a request would be accepted. A refused
    /// request uses up none of the quota.
    ///
    /// `tats` are the stored TATs. If a TAT is missing, its window counts as unused.
    pub(crate) fn admit(&self, tats: &[DateTime<Utc>], now: DateTime<Utc>) -> Result<Vec<DateTime<Utc>>, Duration> {
        let mut moved = Vec::with_capacity(self.0.len());
        let mut wait = TimeDelta::zero();
        for (index, quota) in self.0.iter().enumerate() {
            let window = TimeDelta::from_std(quota.window).unwrap_or(TimeDelta::MAX);
            let interval = TimeDelta::from_std(quota.interval()).unwrap_or(TimeDelta::MAX);
            // The upper bound moves back a TAT that is more than one window ahead, for example because an operator has
            // shortened the window.
            let tat = tats.get(index).copied().unwrap_or(now).clamp(now, now + window) + interval;
            wait = wait.max(tat - now - window);
            moved.push(tat);
        }
        if wait > TimeDelta::zero() { Err(wait.to_std().unwrap_or_default()) } else { Ok(moved) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn a_burst_is_accepted_and_then_an_even_rate() {
        let quotas: Quotas = "3/30s".parse().unwrap();
        let mut tats = vec![];
        for _ in 0..3 {
            tats = quotas.admit(&tats, at(0)).unwrap();
        }
        assert_eq!(quotas.admit(&tats, at(0)), Err(Duration::from_secs(10)));
        assert_eq!(quotas.admit(&tats, at(4)), Err(Duration::from_secs(6)));
        tats = quotas.admit(&tats, at(10)).unwrap();
        assert_eq!(quotas.admit(&tats, at(10)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn every_quota_must_allow_a_request_and_the_longest_wait_is_returned() {
        let quotas: Quotas = "2/10s, 3/1h".parse().unwrap();
        let mut tats = vec![];
        for second in [0, 0, 5] {
            tats = quotas.admit(&tats, at(second)).unwrap();
        }
        assert_eq!(quotas.admit(&tats, at(5)), Err(Duration::from_secs(1_195)));
    }

    #[test]
    fn a_stored_tat_is_moved_back_if_the_window_was_shortened() {
        let quotas: Quotas = "2/10s".parse().unwrap();
        assert_eq!(quotas.admit(&[at(86_400)], at(0)), Err(Duration::from_secs(5)));
    }

    #[test]
    fn a_quota_is_a_number_and_a_window() {
        assert_eq!("10/15m".parse(), Ok(Quota { limit: 10, window: Duration::from_secs(900) }));
        for text in ["", "10", "10/", "0/1m", "x/1m", "10/0s", "10/15m,", "-1/1m"] {
            assert!(text.parse::<Quotas>().is_err(), "{text}");
        }
    }
}
