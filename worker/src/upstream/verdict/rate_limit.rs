//! Finds out how long an upstream asks us to wait, from the error message, `X-RateLimit-Reset` or `Retry-After`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderName, RETRY_AFTER};

use crate::upstream::http::UpstreamResponse;

/// The wait if the response specifies none.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// Maximum wait. A longer wait is not needed: a job with the default deadline expires within this time, and a retry
/// that comes too early costs only one call.
const MAX_WAIT: Duration = Duration::from_secs(15 * 60);

/// The wait from now: 1 second to 15 minutes, or 5 seconds if the response specifies none.
pub(super) fn wait_or_default(response: &UpstreamResponse, message: &str) -> Duration {
    requested_wait(response, message).unwrap_or(DEFAULT_WAIT)
}

/// The longest wait that the response specifies, from now: 1 second to 15 minutes. `None` if the response specifies no
/// wait.
pub(super) fn requested_wait(response: &UpstreamResponse, message: &str) -> Option<Duration> {
    let now = Utc::now();
    [from_message(message, now), from_rate_limit_reset(response, now), from_retry_after(response, now)]
        .into_iter()
        .flatten()
        .max()
        .map(|wait| wait.clamp(Duration::from_secs(1), MAX_WAIT))
}

/// The wait in the error message. Mailgun writes "try again after 120 seconds" or "try again after Fri, 18 Sep 2026
/// 12:05:00 UTC".
fn from_message(message: &str, now: DateTime<Utc>) -> Option<Duration> {
    let message = message.to_lowercase();
    let (_, time) = message.split_once("try again after ")?;
    match time.split_once(' ') {
        Some((seconds, unit)) if unit.starts_with("second") => seconds.parse().ok().map(Duration::from_secs),
        _ => time_until(time, now),
    }
}

/// The wait in `X-RateLimit-Reset`: Unix seconds, possibly with a fraction (mailgun-go, errors.go).
fn from_rate_limit_reset(response: &UpstreamResponse, now: DateTime<Utc>) -> Option<Duration> {
    let at: f64 = response.header(HeaderName::from_static("x-ratelimit-reset"))?.trim().parse().ok()?;
    let at = Duration::try_from_secs_f64(at).ok()?;
    let now = Duration::try_from_secs_f64(now.timestamp_micros() as f64 / 1e6).ok()?;
    Some(at.saturating_sub(now))
}

/// The wait in `Retry-After`: seconds or a date (RFC 9110 §10.2.3).
fn from_retry_after(response: &UpstreamResponse, now: DateTime<Utc>) -> Option<Duration> {
    let text = response.header(RETRY_AFTER)?.trim();
    text.parse().map(Duration::from_secs).ok().or_else(|| time_until(text, now))
}

fn time_until(date: &str, now: DateTime<Utc>) -> Option<Duration> {
    // Mailgun's dates end in UTC, which is not a valid zone in RFC 2822.
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

    /// The wait in seconds, rounded to a multiple of 5, because the clock advances during the test.
    fn seconds(message: &str, header: Option<(&'static str, String)>) -> u128 {
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, value.parse().unwrap());
        }
        let wait = wait_or_default(&UpstreamResponse { status: 429, headers, body: Vec::new() }, message);
        (wait.as_millis() + 2_500) / 5_000 * 5
    }

    #[test]
    fn the_wait_is_read_from_the_message_or_a_header() {
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
    fn a_missing_or_unreasonable_wait_is_replaced() {
        assert_eq!(seconds("Too many requests", None), 5);
        assert_eq!(seconds("try again after lunch", None), 5);
        assert_eq!(seconds("try again after 999999999999999999999 seconds", None), 5);
        assert_eq!(seconds("", Some(("x-ratelimit-reset", "NaN".to_owned()))), 5);
        assert_eq!(seconds("try again after 86400 seconds", None), 900);
        assert_eq!(seconds("try again after Fri, 18 Sep 2020 12:05:00 UTC", None), 0);
        assert_eq!(wait_or_default(&UpstreamResponse::default(), "try again after 0 seconds"), Duration::from_secs(1));
    }
}
