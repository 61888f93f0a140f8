//! Mailgun's answers to a mail. It knows no idempotency key: whatever may have been taken is unknown, and only the
//! very same mail may follow it.

use outbox::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{RETRY, UpstreamFailure, Verdict, configuration, later, rate_limit};
use crate::upstream::http::{CallError, UpstreamResponse};

/// What an answer means: the first row that fits decides. `words` are in lower case.
fn sort(status: u16, words: &str, answer: &UpstreamResponse) -> (Verdict, &'static str) {
    let says = |text: &str| words.contains(text);
    match status {
        // Documented as 429; users' logs show 420 too. Any other "not allowed to send" is not
        // about time.
        400..=499 if says("limit exceeded") => (later(rate_limit::wait(answer, words)), "mailgun_rate_limited"),
        420 | 429 => (later(rate_limit::wait(answer, words)), "mailgun_rate_limited"),

        401 => (configuration("MAILGUN_API_KEY"), "mailgun_key_refused"),
        402 => (configuration("MAILGUN_API_KEY"), "mailgun_payment_required"),
        400 | 403 if says("not allowed to send") => (configuration("MAILGUN_DOMAIN"), "mailgun_domain_not_allowed"),
        403 => (configuration("MAILGUN_API_KEY"), "mailgun_forbidden"),
        404 if says("domain not found") => (configuration("MAILGUN_DOMAIN"), "mailgun_domain_not_found"),
        // A malformed path is answered 200 (django-anymail guards against it).
        200..=299 if says("mailgun magnificent") => (configuration("MAILGUN_DOMAIN"), "mailgun_wrong_path"),
        300..=399 | 404 | 405 => (configuration("MAILGUN_BASE_URL"), "mailgun_wrong_url"),
        400 if says("from parameter") => (configuration("MAIL_FROM"), "mailgun_sender_refused"),

        // A customer reports 5xx for mail that was sent nevertheless.
        408 | 500..=599 => (Verdict::Unknown, "mailgun_unavailable"),
        200..=299 => (Verdict::Unknown, "mailgun_unreadable"),

        400 if says("to parameter") => (Verdict::Reject, "recipient_refused"),
        413 => (Verdict::Reject, "mail_too_large"),
        _ => (Verdict::Reject, "mailgun_refused"),
    }
}

/// What operators are told about a code.
fn says(code: &str) -> &'static str {
    match code {
        "mailgun_rate_limited" => "Mailgun asked for patience",
        "mailgun_key_refused" => {
            "Mailgun does not take the key: set a sending key of MAILGUN_DOMAIN; a domain in the EU needs \
             MAILGUN_BASE_URL=https://api.eu.mailgun.net"
        }
        "mailgun_payment_required" => "Mailgun's account is restricted: see its billing page",
        "mailgun_domain_not_allowed" => "Mailgun lets this domain send nothing: verify it, or see the account's state",
        "mailgun_forbidden" => "Mailgun forbids our calls: see the account's IP allow list",
        "mailgun_domain_not_found" => {
            "Mailgun has no such domain in this region: see MAILGUN_DOMAIN; a domain in the EU needs \
             MAILGUN_BASE_URL=https://api.eu.mailgun.net"
        }
        "mailgun_wrong_path" => "Mailgun takes no mail at this path: see MAILGUN_DOMAIN and MAILGUN_BASE_URL",
        "mailgun_wrong_url" => "There is no Mailgun at MAILGUN_BASE_URL",
        "mailgun_sender_refused" => "Mailgun does not take the sender",
        "mailgun_unavailable" => "Mailgun is in trouble, and may have taken the mail",
        "mailgun_unreadable" => "Mailgun did not confirm the mail",
        "recipient_refused" => "Mailgun does not take this address",
        "mail_too_large" => "Mailgun finds the mail too large",
        _ => "Mailgun refused the mail",
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    message: String,
}

/// Whether Mailgun took the mail: a status of success and a JSON object with an `id`, whatever its Content-Type.
///
/// # Errors
/// What the answer means if not.
pub fn judge(answer: &UpstreamResponse) -> Result<(), UpstreamFailure> {
    let taken = (200..=299).contains(&answer.status)
        && serde_json::from_slice::<Map<String, Value>>(&answer.body)
            .is_ok_and(|body| body.get("id").and_then(Value::as_str).is_some_and(|id| !id.is_empty()));
    if taken {
        return Ok(());
    }
    let words = outbox::redact(&words(&answer.body));
    let (verdict, code) = sort(answer.status, &words.to_lowercase(), answer);
    Err(UpstreamFailure::told(verdict, code, says(code), answer.status, &words))
}

/// The message of its JSON; a bare word or line as it is; nothing of any other document.
fn words(body: &[u8]) -> String {
    if let Ok(error) = serde_json::from_slice::<ErrorBody>(body) {
        return error.message;
    }
    let text =
        serde_json::from_slice::<String>(body).unwrap_or_else(|_| String::from_utf8_lossy(body).trim().to_owned());
    let is_plain = text.len() <= 200 && !text.contains(['<', '{', '\n']);
    if is_plain { text } else { String::new() }
}

/// Sorts a call that brought no answer.
#[must_use]
pub fn judge_silence(silence: &CallError) -> UpstreamFailure {
    let (verdict, code, message) = match silence {
        CallError::NotSent(why) => (RETRY, "mailgun_unreachable", format!("Mailgun could not be reached: {why}")),
        CallError::Lost(why) => (
            Verdict::Unknown,
            "mailgun_no_answer",
            format!("Mailgun may have taken the mail, but did not say so: {why}"),
        ),
    };
    UpstreamFailure { verdict, failure: Failure::new(code, message), http_status: None }
}
