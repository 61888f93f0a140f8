//! Mailgun's answers to questions about mails and addresses. None of them concerns a job: at worst nobody asks for a
//! while.

use std::time::Duration;

use super::rate_limit;
use crate::upstream::http::{CallError, UpstreamResponse};

/// Nobody can ask before an operator has changed something; until then it is tried now and then.
const MISCONFIGURED: Duration = Duration::from_secs(5 * 60);
/// It did not answer as it should; it may soon.
const UNAVAILABLE: Duration = Duration::from_secs(30);

/// Why there is no answer to a question, and how long nobody asks another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    /// For operators, with the setting to look at where there is one.
    pub reason: &'static str,
    /// Until the next question.
    pub pause: Duration,
}

/// What an answer means; 404 is for whoever asks to judge.
///
/// # Errors
/// [`QueryError`].
pub fn judge(answer: &UpstreamResponse) -> Result<(), QueryError> {
    let (reason, pause) = match answer.status {
        200..=299 => return Ok(()),
        401..=403 => {
            ("Mailgun refuses the key: it must be one that may read events (MAILGUN_EVENTS_KEY)", MISCONFIGURED)
        }
        404 => (
            "Mailgun does not know the domain, or not in this region (MAILGUN_DOMAIN, MAILGUN_BASE_URL)",
            MISCONFIGURED,
        ),
        400 | 405 => ("Mailgun does not understand the question (MAILGUN_EVENTS_API, MAILGUN_BASE_URL)", MISCONFIGURED),
        420 | 429 => {
            let words = String::from_utf8_lossy(&answer.body).to_lowercase();
            ("Mailgun asked for patience", rate_limit::wait(answer, &words))
        }
        _ => ("Mailgun is unavailable", UNAVAILABLE),
    };
    Err(QueryError { reason, pause })
}

/// No answer came.
#[must_use]
pub fn judge_silence(_silence: &CallError) -> QueryError {
    QueryError { reason: "Mailgun does not answer", pause: UNAVAILABLE }
}

/// The answer is not what it should be.
#[must_use]
pub fn unreadable() -> QueryError {
    QueryError {
        reason: "Mailgun answers what cannot be read (MAILGUN_BASE_URL, MAILGUN_EVENTS_API)",
        pause: MISCONFIGURED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_pause_as_long_as_it_takes() {
        let pause = |status, body: &str| {
            let answer = UpstreamResponse { status, body: body.as_bytes().to_vec(), ..UpstreamResponse::default() };
            judge(&answer).err().map(|not_told| not_told.pause.as_secs())
        };
        for (status, body, wanted) in [
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
            assert_eq!(pause(status, body), wanted, "{status} {body}");
        }
    }
}
