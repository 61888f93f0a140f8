//! Classifies Mailgun's responses to queries about events and lists. A failed query does not affect any job: the
//! reconciler only pauses.

use std::time::Duration;

use super::rate_limit;
use crate::upstream::http::{CallError, UpstreamResponse};

/// Pause after a failure that persists until an operator changes a setting.
const MISCONFIGURED: Duration = Duration::from_secs(5 * 60);
/// Pause after a failure that may be temporary.
const UNAVAILABLE: Duration = Duration::from_secs(30);

/// Why a query failed, and how long to wait before the next query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// Why the query failed, for operators. Includes the setting to check, if any.
    pub reason: &'static str,
    /// Minimum wait until the next query.
    pub pause: Duration,
}

/// Checks that a query succeeded. A caller for which 404 is a valid result must handle 404 before it calls this
/// function.
///
/// # Errors
/// [`QueryError`] for every status other than 2xx.
pub fn classify(response: &UpstreamResponse) -> Result<(), QueryError> {
    let (reason, pause) = match response.status {
        200..=299 => return Ok(()),
        401..=403 => ("Mailgun refuses the key: MAILGUN_EVENTS_KEY must be allowed to read events", MISCONFIGURED),
        404 => (
            "The domain does not exist in this region of Mailgun: check MAILGUN_DOMAIN and MAILGUN_BASE_URL",
            MISCONFIGURED,
        ),
        400 | 405 => ("Mailgun rejects the query: check MAILGUN_EVENTS_API and MAILGUN_BASE_URL", MISCONFIGURED),
        420 | 429 => {
            let message = String::from_utf8_lossy(&response.body).to_lowercase();
            ("Mailgun is rate-limiting our queries", rate_limit::wait_or_default(response, &message))
        }
        _ => ("Mailgun is unavailable", UNAVAILABLE),
    };
    Err(QueryError { reason, pause })
}

/// Classifies the error from a query that got no response.
#[must_use]
pub fn classify_call_error(_error: &CallError) -> QueryError {
    QueryError { reason: "Mailgun does not respond", pause: UNAVAILABLE }
}

/// The error for a successful response without the expected content, or for a URL that cannot be used.
#[must_use]
pub fn unreadable() -> QueryError {
    QueryError {
        reason: "Mailgun's response cannot be read: check MAILGUN_BASE_URL and MAILGUN_EVENTS_API",
        pause: MISCONFIGURED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_depends_on_the_status() {
        let pause = |status, body: &str| {
            let response = UpstreamResponse { status, body: body.as_bytes().to_vec(), ..UpstreamResponse::default() };
            classify(&response).err().map(|error| error.pause.as_secs())
        };
        for (status, body, expected) in [
            (200, "", None),
            (401, "Forbidden", Some(300)),
            (403, "", Some(300)),
            (404, "", Some(300)),
            (429, "try again after 120 seconds", Some(120)),
            (420, "try again after 120 seconds", Some(120)),
            (429, "", Some(5)),
            (500, "", Some(30)),
            (302, "", Some(30)),
        ] {
            assert_eq!(pause(status, body), expected, "{status} {body}");
        }
    }
}
