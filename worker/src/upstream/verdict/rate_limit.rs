//! How long an upstream asks to be left alone. It says so in one of several places, or nowhere.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, RETRY_AFTER};

use crate::upstream::http::UpstreamResponse;

/// When it names no time.
const UNNAMED: Duration = Duration::from_secs(5);

/// Longer waits are cut to this: by then a job's usual deadline has passed, and asking again costs one call.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The wait from now, named or not: a second to a quarter of an hour.
pub(super) fn wait(answer: &UpstreamResponse, words: &str) -> Duration {
    named(answer, words).unwrap_or(UNNAMED)
}

/// The wait from now that the answer names, if it does: the longest of text, `X-RateLimit-Reset` and `Retry-After`.
pub(super) fn named(answer: &UpstreamResponse, words: &str) -> Option<Duration> {
    let now = Utc::now();
    [in_text(words, now), reset(answer, now), retry_after(answer, now)]
        .into_iter()
        .flatten()
        .max()
        .map(|wait| wait.clamp(Duration::from_secs(1), LONGEST))
}

/// Mailgun writes "try again after 120 seconds" or "try again after Fri, 18 Sep 2026 12:05:00 UTC".
fn in_text(words: &str, now: DateTime<Utc>) -> Option<Duration> {
    let words = words.to_lowercase();
    let (_, time) = words.split_once("try again after ")?;
    match time.split_once(' ') {
        Some((seconds, unit)) if unit.starts_with("second") => seconds.parse().ok().map(Duration::from_secs),
        _ => until(time, now),
    }
}

/// Unix seconds, maybe with a fraction (mailgun-go, errors.go).
fn reset(answer: &UpstreamResponse, now: DateTime<Utc>) -> Option<Duration> {
    let at: f64 = answer.header(HeaderName::from_static("x-ratelimit-reset"))?.trim().parse().ok()?;
    let at = Duration::try_from_secs_f64(at).ok()?;
    let now = Duration::try_from_secs_f64(now.timestamp_micros() as f64 / 1e6).ok()?;
    Some(at.saturating_sub(now))
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(answer: &UpstreamResponse, now: DateTime<Utc>) -> Option<Duration> {
    let text = answer.header(RETRY_AFTER)?.trim();
    text.parse().map(Duration::from_secs).ok().or_else(|| until(text, now))
}

fn until(date: &str, now: DateTime<Utc>) -> Option<Duration> {
    // Mailgun's dates end in UTC, which RFC 2822 does not know.
    let date = date.trim().trim_end_matches('.').to_uppercase();
    let date = match date.strip_suffix("UTC") {
        Some(date) => format!("{date}GMT"),
        None => date,
    };
    let at = DateTime::parse_from_rfc2822(&date).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use reqwest::header::HeaderMap;

    use super::*;

    fn seconds(words: &str, header: Option<(&'static str, String)>) -> u128 {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let wait = wait(&UpstreamResponse { status: 429, headers, body: Vec::new() }, words);
        // Rounded, since the clock went on.
        (wait.as_millis() + 2_500) / 5_000 * 5
    }

    #[test]
    fn the_time_is_found_wherever_it_is_named() {
        let at = Utc::now() + TimeDelta::seconds(120);
        let utc = at.format("%a, %d %b %Y %H:%M:%S UTC").to_string();
        let gmt = at.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert_eq!(seconds("request limit exceeded, try again after 120 seconds", None), 120);
        assert_eq!(seconds(&format!("recipient limit exceeded, try again after {utc}"), None), 120);
        assert_eq!(seconds("", Some(("x-ratelimit-reset", format!("{}.5", at.timestamp())))), 120);
        assert_eq!(seconds("", Some(("retry-after", "120".to_owned()))), 120);
        assert_eq!(seconds("", Some(("retry-after", gmt))), 120);
        assert_eq!(seconds("try again after 60 seconds", Some(("retry-after", "120".to_owned()))), 120);
    }

    #[test]
    fn no_time_or_a_silly_one_does_not_stop_us_for_long() {
        assert_eq!(seconds("Too many requests", None), 5);
        assert_eq!(seconds("try again after lunch", None), 5);
        assert_eq!(seconds("try again after 999999999999999999999 seconds", None), 5);
        assert_eq!(seconds("", Some(("x-ratelimit-reset", "NaN".to_owned()))), 5);
        assert_eq!(seconds("try again after 86400 seconds", None), 900);
        assert_eq!(seconds("try again after Fri, 18 Sep 2020 12:05:00 UTC", None), 0);
        assert_eq!(wait(&UpstreamResponse::default(), "try again after 0 seconds"), Duration::from_secs(1));
    }
}
