//! From Mailgun's event to what it says about a delivery. Nothing in it is signed: what does not look as it should
//! is refused or left out, and no text goes on that could hold a link, an address or a token.

use std::time::Duration;

use chrono::DateTime;
use outbox::{Delivery, DeliveryEvent, JobId, redact};
use serde_json::Value;

/// What was reported.
pub(super) enum Event {
    /// Something about a delivery.
    Delivery(Box<DeliveryEvent>),
    /// A kind that says nothing about deliveries: opened, clicked, unsubscribed, and those that are not yet known.
    Other,
}

/// It is none of ours, or no event. Why, for the log.
pub(super) struct Malformed(pub(super) &'static str);

/// Kinds that say something about a delivery.
const KINDS: [&str; 5] = ["accepted", "delivered", "failed", "complained", "rejected"];
/// Mailgun's code of a mail that was not sent, since it was in test mode.
const TEST_MODE: i32 = 650;

/// Reads an event that cannot have happened after `latest` (since 1970).
pub(super) fn read(event: &Value, latest: Duration, domain: Option<&str>) -> Result<Event, Malformed> {
    let kind = text(event, "/event", 32).ok_or(Malformed("no_event"))?;
    let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else { return Ok(Event::Other) };
    let occurred_at = event.pointer("/timestamp").and_then(Value::as_f64).ok_or(Malformed("no_time"))?;
    if !(0.0..=latest.as_secs_f64()).contains(&occurred_at) {
        return Err(Malformed("from_the_future"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "it lies between 1970 and now")]
    let occurred_at = DateTime::from_timestamp_micros((occurred_at * 1e6) as i64).ok_or(Malformed("no_time"))?;
    let message_id = text(event, "/message/headers/message-id", 900).map(|id| bare(&id).to_owned());
    if let (Some(domain), Some(id)) = (domain, &message_id)
        && !id.rsplit('@').next().is_some_and(|of| of.eq_ignore_ascii_case(domain))
    {
        return Err(Malformed("other_domain"));
    }
    let severity = text(event, "/severity", 32);
    let reason = text(event, "/reason", 64);
    let smtp_code = event.pointer("/delivery-status/code").and_then(Value::as_i64).and_then(|it| it.try_into().ok());
    let words = ["/delivery-status/message", "/delivery-status/description"];
    let words = words.into_iter().filter_map(|place| text(event, place, 4_000)).find(|words| !words.is_empty());
    let enhanced_code =
        text(event, "/delivery-status/enhanced-code", 16).or_else(|| words.as_deref().and_then(enhanced));
    let is_test = smtp_code == Some(TEST_MODE) || event.pointer("/flags/is-test-mode") == Some(&Value::Bool(true));
    let delivery = delivery(kind, severity.as_deref(), reason.as_deref(), enhanced_code.as_deref(), smtp_code);
    Ok(Event::Delivery(Box::new(DeliveryEvent {
        id: text(event, "/id", 128).filter(|id| !id.is_empty()).ok_or(Malformed("no_id"))?,
        event: kind,
        job: text(event, "/user-variables/job_id", 36)
            .or_else(|| message_id.as_ref().and_then(|id| Some(id.split_once('.')?.0.to_owned())))
            .and_then(|id| id.parse().ok())
            .map(JobId),
        message_id: message_id.map(|id| format!("<{id}>")),
        recipient: text(event, "/recipient", 254).unwrap_or_default().to_lowercase(),
        severity,
        reason,
        smtp_code,
        enhanced_code,
        message: words.map(|words| cut(redact(&words), 1_000)),
        delivery: delivery.filter(|_| !is_test),
        occurred_at,
    })))
}

/// What an event says about the delivery; the first row that fits decides.
fn delivery(
    kind: &str,
    severity: Option<&str>,
    reason: Option<&str>,
    enhanced_code: Option<&str>,
    smtp_code: Option<i32>,
) -> Option<Delivery> {
    let full_or_policy = enhanced_code.is_some_and(|code| code.starts_with("5.2.") || code.starts_with("5.7."));
    match (kind, severity, reason.unwrap_or_default()) {
        ("accepted", ..) => Some(Delivery::Accepted),
        ("delivered", ..) => Some(Delivery::Delivered),
        ("complained", ..) => Some(Delivery::Complained),
        ("rejected", ..) => Some(Delivery::Undelivered),
        ("failed", Some("temporary"), _) => Some(Delivery::Deferred),
        ("failed", Some("permanent"), reason) if reason.starts_with("suppress-") => Some(Delivery::Suppressed),
        ("failed", Some("permanent"), "old") => Some(Delivery::Undelivered),
        // Without an enhanced status, 552 is the mailbox's limit.
        ("failed", Some("permanent"), _) if full_or_policy || (enhanced_code.is_none() && smtp_code == Some(552)) => {
            Some(Delivery::Undelivered)
        }
        ("failed", Some("permanent"), _) => Some(Delivery::Bounced),
        _ => None,
    }
}

/// The enhanced status (RFC 3463) that a server's words begin with.
fn enhanced(words: &str) -> Option<String> {
    let first = words.split_whitespace().next()?;
    let mut parts = first.split('.');
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    let class = parts.next()?;
    let fits =
        matches!(class, "2" | "4" | "5") && parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number);
    (fits && parts.next().is_none()).then(|| first.to_owned())
}

fn text(event: &Value, place: &str, longest: usize) -> Option<String> {
    let text = event.pointer(place)?.as_str()?;
    Some(cut(text.chars().filter(|c| !c.is_control()).collect(), longest))
}

fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

/// Events name it without angle brackets, answers with them.
fn bare(message_id: &str) -> &str {
    message_id.trim().trim_start_matches('<').trim_end_matches('>')
}
