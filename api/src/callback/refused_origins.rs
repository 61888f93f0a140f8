//! Logs refused origins, so that an operator notices an origin that is missing from `CALLBACK_ORIGINS` or
//! `PORTALS_FILE`. Anybody can send any origin, so these log lines are rate limited and show only the host.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use poem::http::HeaderMap;
use url::Url;

use super::source;

/// Maximum number of log lines in one window. Each line is about a different host.
const MAX_LINES: usize = 5;
/// Length of a window. In each new window, every host can be logged again.
const WINDOW: Duration = Duration::from_mins(1);

/// Logs refused origins, but writes at most a few lines per minute.
#[derive(Debug, Default)]
pub(crate) struct RefusedOrigins(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    began_at: Option<Instant>,
    hosts: Vec<Option<String>>,
    /// Number of refused requests since the last log line.
    unlogged: u64,
}

impl RefusedOrigins {
    /// Logs the host of a refused request's origin, unless the request contains no origin, the host was already logged
    /// in this window, or the window's line limit has been reached. `body` is the `callback_origin` field.
    pub(crate) fn note(&self, body: Option<&str>, headers: &HeaderMap) {
        let Some(text) = source::deciding_text(body, headers) else { return };
        let host = host_of(text);
        if let Some(unlogged) = self.take_line(host.clone(), Instant::now()) {
            // `Debug` escapes characters that could break the log line.
            let host = host.map(tracing::field::debug);
            tracing::warn!(
                host,
                unlogged_refusals = unlogged,
                "refused a request with a callback origin that no portal allows"
            );
        }
    }

    /// Returns the number of refusals since the last log line, or `None` if no line may be logged for this host now.
    fn take_line(&self, host: Option<String>, now: Instant) -> Option<u64> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.began_at.is_none_or(|at| now.duration_since(at) >= WINDOW) {
            *recent = Recent { began_at: Some(now), hosts: vec![], unlogged: recent.unlogged };
        }
        if recent.hosts.len() >= MAX_LINES || recent.hosts.contains(&host) {
            recent.unlogged += 1;
            return None;
        }
        recent.hosts.push(host);
        Some(std::mem::take(&mut recent.unlogged))
    }
}

/// Returns the host of an origin or URL as the WHATWG URL standard serialises it, or `None` if the text contains white
/// space or control characters, or is not an http or https URL. The user name, password, path and query are left out,
/// because they may contain anything.
fn host_of(text: &str) -> Option<String> {
    // The parser removes line breaks, so the text after a line break would seem to be part of the host.
    if text.contains(|c: char| c.is_control() || c.is_whitespace()) {
        return None;
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    Some(url.host_str()?.chars().take(253).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_is_logged() {
        for (text, host) in [
            ("https://portal.example.org:8443", Some("portal.example.org")),
            ("https://ann:sesame@portal.example.org/ann?token=sesame#sesame", Some("portal.example.org")),
            ("https://m\u{fc}nchen.example", Some("xn--mnchen-3ya.example")),
            ("https://evil.example\r\nlevel=ERROR", None),
            ("ann@example.org", None),
            ("mailto:ann@example.org", None),
            ("null", None),
        ] {
            assert_eq!(host_of(text).as_deref(), host, "{text:?}");
        }
        let long = format!("https://{}.example", "a".repeat(1_000));
        assert!(host_of(&long).is_none_or(|host| host.len() <= 253));
    }

    #[test]
    fn a_flood_of_refused_origins_writes_few_log_lines_and_counts_the_rest() {
        let (origins, start) = (RefusedOrigins::default(), Instant::now());
        let take = |number: u32, after: u64| {
            origins.take_line(Some(format!("{number}.example")), start + Duration::from_secs(after))
        };
        assert_eq!((take(0, 0), take(0, 1), take(0, 2)), (Some(0), None, None));
        let lines: Vec<_> = (1..1_000).filter_map(|number| take(number, 3)).collect();
        assert_eq!(lines, [2, 0, 0, 0]);
        assert_eq!(take(0, 59), None);
        assert_eq!(take(0, 60), Some(996));
    }
}
