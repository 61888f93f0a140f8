//! Quotas: so many requests per window, by GCRA (the generic cell rate algorithm).
//!
//! Per window one theoretical arrival time (TAT) is kept. A request moves it on by `window ÷ limit`, and is let in
//! while it then lies at most one window ahead: a full burst at first, an even rate after, no counter to reset.

use std::{str::FromStr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::duration::parse_duration;

/// At most `limit` requests in any `window`. Written `10/15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests per window, at least 1.
    pub limit: u32,
    /// Length of the window, at least a second.
    pub window: Duration,
}

impl Quota {
    /// Time that one request takes up.
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
            _ => Err(format!("`{limit}` is not a number of requests from 1 to 1000000")),
        }
    }
}

/// Several quotas that must all hold. Written `10/15m,30/1d`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas(Vec<Quota>);

impl FromStr for Quotas {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

impl Quotas {
    /// Time that one request takes up of each window.
    pub(crate) fn intervals(&self) -> impl Iterator<Item = Duration> {
        self.0.iter().map(Quota::interval)
    }

    /// The TATs after one more request, or how long to wait until one is let in. A refused request moves nothing.
    ///
    /// `tats` are those kept so far; one that is missing counts as unused.
    pub(crate) fn admit(&self, tats: &[DateTime<Utc>], now: DateTime<Utc>) -> Result<Vec<DateTime<Utc>>, Duration> {
        let mut moved = Vec::with_capacity(self.0.len());
        let mut wait = TimeDelta::zero();
        for (index, quota) in self.0.iter().enumerate() {
            let window = TimeDelta::from_std(quota.window).unwrap_or(TimeDelta::MAX);
            let interval = TimeDelta::from_std(quota.interval()).unwrap_or(TimeDelta::MAX);
            // The upper bound matters only after the setting was tightened: the old window's debt is cut to the new one's.
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
    fn a_burst_is_let_in_and_then_an_even_rate() {
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
    fn every_window_must_hold_and_the_longest_wait_is_told() {
        let quotas: Quotas = "2/10s, 3/1h".parse().unwrap();
        let mut tats = vec![];
        for second in [0, 0, 5] {
            tats = quotas.admit(&tats, at(second)).unwrap();
        }
        assert_eq!(quotas.admit(&tats, at(5)), Err(Duration::from_secs(1_195)));
    }

    #[test]
    fn a_tightened_setting_cuts_old_debt_to_its_window() {
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
