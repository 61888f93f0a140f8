//! Classifies Mailgun's responses to requests to send a mail. Mailgun has no idempotency keys. If Mailgun may have
//! accepted a mail, the verdict is `Unknown`, and a retry must send the same mail.

use outbox::Failure;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    rate_limit,
    upstream_failure::{RETRY, UpstreamFailure, Verdict, configuration, refused, retry_after},
};
use crate::upstream::http::{CallError, UpstreamResponse};

/// The verdict and code for a response. The first matching arm applies. `message` must be in lower case.
fn verdict_for(status: u16, message: &str, response: &UpstreamResponse) -> (Verdict, &'static str) {
    let says = |text: &str| message.contains(text);
    match status {
        // Mailgun documents 429 for rate limits, but users' logs also show 420. The message can also contain "not
        // allowed to send", so this arm must come before the arm that matches those words.
        400..=499 if says("limit exceeded") => {
            (retry_after(rate_limit::wait_or_default(response, message)), "mailgun_rate_limited")
        }
        420 | 429 => (retry_after(rate_limit::wait_or_default(response, message)), "mailgun_rate_limited"),

        // The responses for sandbox domains and free accounts. The message can also contain "not allowed to send", so
        // this arm must come before the arm that matches those words.
        400..=499 if says("for test purposes only") || says("authorized recipient") => {
            (refused("MAILGUN_DOMAIN"), "mailgun_recipient_not_authorized")
        }
        401 => (configuration("MAILGUN_API_KEY"), "mailgun_key_refused"),
        402 => (configuration("MAILGUN_API_KEY"), "mailgun_payment_required"),
        400 | 403 if says("not allowed to send") => (configuration("MAILGUN_DOMAIN"), "mailgun_domain_not_allowed"),
        403 => (refused("MAILGUN_API_KEY"), "mailgun_forbidden"),
        404 if says("domain not found") => (configuration("MAILGUN_DOMAIN"), "mailgun_domain_not_found"),
        // Mailgun answers a request to a malformed path with status 200 (django-anymail also checks for this).
        200..=299 if says("mailgun magnificent") => (configuration("MAILGUN_DOMAIN"), "mailgun_wrong_path"),
        300..=399 | 404 | 405 => (refused("MAILGUN_BASE_URL"), "mailgun_wrong_url"),
        400 if says("from parameter") => (configuration("MAIL_FROM"), "mailgun_sender_refused"),

        // A Mailgun customer reported 5xx responses for mails that were sent, so the outcome is unknown.
        408 | 500..=599 => (Verdict::Unknown, "mailgun_unavailable"),
        200..=299 => (Verdict::Unknown, "mailgun_unreadable"),

        400 if says("to parameter") => (Verdict::RejectRecipient, "recipient_refused"),
        413 => (Verdict::Reject, "mail_too_large"),
        _ => (refused("MAILGUN_BASE_URL"), "mailgun_refused"),
    }
}

/// The explanation of a code, for operators.
fn explanation(code: &str) -> &'static str {
    match code {
        "mailgun_rate_limited" => "Mailgun is rate-limiting our calls",
        "mailgun_key_refused" => {
            "Mailgun does not accept the key: set MAILGUN_API_KEY to a sending key for MAILGUN_DOMAIN; a domain \
             in the EU needs MAILGUN_BASE_URL=https://api.eu.mailgun.net"
        }
        "mailgun_recipient_not_authorized" => {
            "Mailgun sends from this domain only to authorised recipients: authorise the recipient, or use your own \
             domain and a paid plan"
        }
        "mailgun_payment_required" => "The Mailgun account is restricted: see its billing page",
        "mailgun_domain_not_allowed" => {
            "Mailgun does not allow this domain to send mail: verify the domain, or check the state of the account"
        }
        "mailgun_forbidden" => "Mailgun forbids our calls: check the account's IP allow list",
        "mailgun_domain_not_found" => {
            "The domain does not exist in this region of Mailgun: check MAILGUN_DOMAIN; a domain in the EU needs \
             MAILGUN_BASE_URL=https://api.eu.mailgun.net"
        }
        "mailgun_wrong_path" => "Mailgun does not accept mail at this path: check MAILGUN_DOMAIN and MAILGUN_BASE_URL",
        "mailgun_wrong_url" => "MAILGUN_BASE_URL does not point to Mailgun",
        "mailgun_sender_refused" => "Mailgun does not accept the sender: check MAIL_FROM",
        "mailgun_unavailable" => "Mailgun is unavailable, and may have accepted the mail",
        "mailgun_unreadable" => "Mailgun did not confirm that it accepted the mail",
        "recipient_refused" => "Mailgun does not accept this address",
        "mail_too_large" => "The mail is larger than Mailgun accepts",
        _ => "Mailgun refused the mail",
    }
}

#[derive(Deserialize)]
struct MailgunErrorBody {
    message: String,
}

/// Checks that Mailgun accepted the mail: a 2xx status and a JSON object with a non-empty `id`. The Content-Type does
/// not matter. Returns the id.
///
/// # Errors
/// [`UpstreamFailure`] if Mailgun did not confirm that it accepted the mail.
pub fn classify(response: &UpstreamResponse) -> Result<String, UpstreamFailure> {
    let body = || serde_json::from_slice::<Map<String, Value>>(&response.body).ok();
    let id = |body: Map<String, Value>| body.get("id").and_then(Value::as_str).map(str::to_owned);
    let is_success = (200..=299).contains(&response.status);
    if let Some(id) = is_success.then(body).flatten().and_then(id).filter(|id| !id.is_empty()) {
        return Ok(id);
    }
    let message = outbox::redact(&error_message(&response.body));
    let (verdict, code) = verdict_for(response.status, &message.to_lowercase(), response);
    Err(UpstreamFailure::from_response(verdict, code, explanation(code), response.status, &message))
}

/// The `message` from a JSON error, or the body itself if it is a short line of plain text. Empty for any other body,
/// such as an HTML page.
fn error_message(body: &[u8]) -> String {
    if let Ok(error) = serde_json::from_slice::<MailgunErrorBody>(body) {
        return error.message;
    }
    let text =
        serde_json::from_slice::<String>(body).unwrap_or_else(|_| String::from_utf8_lossy(body).trim().to_owned());
    let is_plain = text.len() <= 200 && !text.contains(['<', '{', '\n']);
    if is_plain { text } else { String::new() }
}

/// Whether Mailgun refused the call only because the mail has no recipient. This is the expected response to a check
/// call.
#[must_use]
pub fn is_missing_recipient(response: &UpstreamResponse) -> bool {
    let message = error_message(&response.body).to_lowercase();
    response.status == 400 && (message.contains("to parameter") || message.contains("'to'"))
}

/// Classifies the error from a call that got no response.
#[must_use]
pub fn classify_call_error(error: &CallError) -> UpstreamFailure {
    let (verdict, code, message) = match error {
        CallError::NotSent(why) => (RETRY, "mailgun_unreachable", format!("Mailgun could not be reached: {why}")),
        CallError::ResponseLost(why) => (
            Verdict::Unknown,
            "mailgun_no_answer",
            format!("Mailgun may have accepted the mail, but its response was lost: {why}"),
        ),
    };
    UpstreamFailure { verdict, reason: Failure::new(code, message), http_status: None }
}
