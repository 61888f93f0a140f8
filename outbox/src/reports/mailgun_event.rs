//! Reads a Mailgun event, from a webhook or from the events API. Nothing in an event is signed, so malformed values are
//! refused or left out, and text that could contain a link, an address or a token is redacted.

use std::time::Duration;

use chrono::DateTime;
use serde_json::Value;

use super::{events::DeliveryEvent, redact::redact, suppression::SuppressionReason};
use crate::model::{delivery_status::DeliveryStatus, email::Email, job_id::JobId};

/// An event.
#[derive(Debug)]
pub enum MailgunEvent {
    /// An event about a delivery.
    Delivery(Box<DeliveryEvent>),
    /// An event of another kind: opened, clicked, unsubscribed, or a kind that is not known yet.
    Other,
}

/// Why a value is not an event about one of our mails: a code for logs and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

/// Kinds of events about deliveries.
const KINDS: [&str; 5] = ["accepted", "delivered", "failed", "complained", "rejected"];
/// The SMTP code that Mailgun reports for a mail in test mode, which is not sent.
const TEST_MODE: i32 = 650;
/// Words that suggest a TLS failure.
const TLS_WORDS: [&str; 6] = ["certificate", "certificates", "x509", "tls", "starttls", "ssl"];

impl MailgunEvent {
    /// Reads an event. The event must not have happened after `latest` (time since the start of 1970). If `domain` is
    /// given and the event contains a Message-Id, the Message-Id must belong to that domain.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(event: &Value, latest: Duration, domain: Option<&str>) -> Result<Self, Malformed> {
        read(event, latest, domain)
    }
}

fn read(event: &Value, latest: Duration, domain: Option<&str>) -> Result<MailgunEvent, Malformed> {
    let kind = text(event, "/event", 32).ok_or(Malformed("no_event"))?;
    let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else { return Ok(MailgunEvent::Other) };
    let occurred_at = event.pointer("/timestamp").and_then(Value::as_f64).ok_or(Malformed("no_time"))?;
    if !(0.0..=latest.as_secs_f64()).contains(&occurred_at) {
        return Err(Malformed("from_the_future"));
    }
    #[allow(clippy::cast_possible_truncation, reason = "the time is between 1970 and `latest`")]
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
    let words = words(event);
    let enhanced_code =
        text(event, "/delivery-status/enhanced-code", 16).or_else(|| words.as_deref().and_then(enhanced));
    let is_test = smtp_code == Some(TEST_MODE) || event.pointer("/flags/is-test-mode") == Some(&Value::Bool(true));
    let facts = Facts {
        kind,
        severity: severity.as_deref(),
        reason: reason.as_deref().unwrap_or_default(),
        enhanced_code: enhanced_code.as_deref(),
        smtp_code,
        words: words.as_deref().unwrap_or_default(),
        is_certificate_bad: event.pointer("/delivery-status/certificate-verified") == Some(&Value::Bool(false)),
    };
    let (delivery, suppression) = (facts.delivery(), facts.suppression());
    Ok(MailgunEvent::Delivery(Box::new(DeliveryEvent {
        id: text(event, "/id", 128).filter(|id| !id.is_empty()).ok_or(Malformed("no_id"))?,
        event: kind,
        job: text(event, "/user-variables/job_id", 36)
            .or_else(|| message_id.as_ref().and_then(|id| Some(id.split_once('.')?.0.to_owned())))
            .and_then(|id| id.parse().ok())
            .map(JobId),
        message_id: message_id.map(|id| format!("<{id}>")),
        recipient: text(event, "/recipient", 254).map(|text| job_recipient(&text)).unwrap_or_default(),
        severity,
        reason,
        smtp_code,
        enhanced_code,
        message: words.map(|words| cut(redact(&words), 1_000)),
        delivery: delivery.filter(|_| !is_test),
        suppression: suppression.filter(|_| !is_test),
        occurred_at,
    })))
}

/// Converts a recipient to the form of `email_jobs.recipient`. An event may contain the domain in Unicode.
fn job_recipient(recipient: &str) -> String {
    Email::parse(recipient).map_or_else(|_| recipient.to_lowercase(), |email| email.to_string())
}

/// The parts of an event that determine its delivery status and whether its recipient is suppressed.
struct Facts<'a> {
    kind: &'a str,
    severity: Option<&'a str>,
    reason: &'a str,
    enhanced_code: Option<&'a str>,
    smtp_code: Option<i32>,
    words: &'a str,
    /// Whether Mailgun could not verify the certificate of the recipient's server.
    is_certificate_bad: bool,
}

impl Facts<'_> {
    /// The delivery status that an event indicates. The first matching arm decides.
    fn delivery(&self) -> Option<DeliveryStatus> {
        match (self.kind, self.severity) {
            ("accepted", _) => Some(DeliveryStatus::Accepted),
            ("delivered", _) => Some(DeliveryStatus::Delivered),
            ("complained", _) => Some(DeliveryStatus::Complained),
            ("rejected", _) => Some(DeliveryStatus::Undelivered),
            // Reason `old`: Mailgun has given up, even if the event calls the failure temporary.
            ("failed", Some("temporary" | "permanent")) if self.reason == "old" => Some(DeliveryStatus::Undelivered),
            ("failed", Some("temporary")) => Some(DeliveryStatus::Deferred),
            ("failed", Some("permanent")) if self.reason.starts_with("suppress-") => Some(DeliveryStatus::Suppressed),
            ("failed", Some("permanent")) if self.is_full_or_policy() || self.is_tls_failure() => {
                Some(DeliveryStatus::Undelivered)
            }
            ("failed", Some("permanent")) => Some(DeliveryStatus::Bounced),
            _ => None,
        }
    }

    /// Whether the mailbox is full or the mail was rejected because of a policy. Without an enhanced status, 552 means
    /// a full mailbox.
    fn is_full_or_policy(&self) -> bool {
        match self.enhanced_code {
            Some(code) => code.starts_with("5.2.") || code.starts_with("5.7."),
            None => self.smtp_code == Some(552),
        }
    }

    /// Whether Mailgun failed to set up an encrypted and verified connection. If so, the recipient's server was never
    /// asked about the mailbox. Mailgun documents no code for such failures, only a flag and a text description.
    fn is_tls_failure(&self) -> bool {
        let has_reply = self.smtp_code.is_some_and(|code| (500..600).contains(&code));
        let mut words = self.words.split(|c: char| !c.is_ascii_alphanumeric());
        self.enhanced_code.is_none()
            && ((self.is_certificate_bad && !has_reply)
                || words.any(|word| TLS_WORDS.contains(&&*word.to_ascii_lowercase())))
    }

    /// The reason to suppress the recipient: the mailbox does not exist (RFC 3463 §3.2, RFC 7505 §4.2; Exchange Online
    /// uses 5.4.1), or its owner does not want our mail. `None` for a full mailbox or a policy rejection, because the
    /// next mail may be delivered.
    fn suppression(&self) -> Option<SuppressionReason> {
        match (self.kind, self.severity, self.reason, self.enhanced_code) {
            ("complained", ..) => Some(SuppressionReason::Complaint),
            ("failed", Some("permanent"), "suppress-bounce", _) => Some(SuppressionReason::ListedBounce),
            ("failed", Some("permanent"), "suppress-complaint", _) => Some(SuppressionReason::ListedComplaint),
            ("failed", Some("permanent"), "suppress-unsubscribe", _) => Some(SuppressionReason::ListedUnsubscribe),
            ("failed", Some("permanent"), _, Some("5.1.1" | "5.1.2" | "5.1.10" | "5.4.1")) => {
                Some(SuppressionReason::Bounce)
            }
            _ => None,
        }
    }
}

/// The message about a failure, written by the recipient's server or by Mailgun.
fn words(event: &Value) -> Option<String> {
    let places = ["/delivery-status/message", "/delivery-status/description"];
    places.into_iter().filter_map(|place| text(event, place, 4_000)).find(|words| !words.is_empty())
}

/// The enhanced status (RFC 3463) at the start of a server's text, or after the basic SMTP status: `550 5.1.1 …`.
fn enhanced(words: &str) -> Option<String> {
    words.split([' ', '-']).filter(|word| !word.is_empty()).take(2).find(|word| is_enhanced(word)).map(str::to_owned)
}

fn is_enhanced(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').collect();
    let is_number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts[..], ["2" | "4" | "5", subject, detail] if is_number(subject) && is_number(detail))
}

fn text(event: &Value, place: &str, longest: usize) -> Option<String> {
    let text = event.pointer(place)?.as_str()?;
    Some(cut(text.chars().filter(|c| !c.is_control()).collect(), longest))
}

fn cut(mut text: String, longest: usize) -> String {
    text.truncate(text.floor_char_boundary(longest));
    text
}

/// Removes angle brackets. The Message-Id has no angle brackets in events, but has them in the response to a request
/// that sends a mail.
fn bare(message_id: &str) -> &str {
    message_id.trim().trim_start_matches('<').trim_end_matches('>')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delivery(event: &Value) -> Option<DeliveryStatus> {
        match MailgunEvent::read(event, Duration::from_secs(2), None).unwrap() {
            MailgunEvent::Delivery(read) => read.delivery,
            MailgunEvent::Other => panic!("{event}"),
        }
    }

    #[test]
    fn a_tls_failure_is_not_a_bounce() {
        let failed = |status: Value| {
            let failed =
                json!({"id": "1", "timestamp": 1.0, "event": "failed", "severity": "permanent", "reason": "generic"});
            let mut event = failed;
            event["delivery-status"] = status;
            event
        };
        for status in [
            json!({"code": 498, "description": "x509: certificate signed by unknown authority", "message": ""}),
            json!({"code": 550, "message": "Certificate verification failed", "certificate-verified": false}),
            json!({"message": "STARTTLS is required, but was not offered", "tls": false}),
            json!({"code": 605, "message": "", "certificate-verified": false, "tls": true}),
            json!({"message": "", "certificate-verified": false}),
            json!({"code": 530, "message": "5.7.10 Encryption needed", "certificate-verified": false}),
        ] {
            assert_eq!(delivery(&failed(status.clone())), Some(DeliveryStatus::Undelivered), "{status}");
        }
        // These are bounces: the recipient's server replied, or nothing suggests a TLS failure.
        for status in [
            json!({"code": 550, "message": "5.1.1 No such user", "certificate-verified": false, "tls": false}),
            json!({"code": 550, "message": "No such user", "certificate-verified": false, "tls": false}),
            json!({"code": 550, "message": "5.1.1 No such user: certificate", "tls": true}),
            json!({"code": 550, "message": "No such user: castles", "tls": true}),
            json!({"message": "", "certificate-verified": true}),
        ] {
            assert_eq!(delivery(&failed(status.clone())), Some(DeliveryStatus::Bounced), "{status}");
        }
    }

    #[test]
    fn a_mail_that_mailgun_gives_up_on_is_undelivered() {
        for (severity, reason, wanted) in [
            ("temporary", "old", DeliveryStatus::Undelivered),
            ("permanent", "old", DeliveryStatus::Undelivered),
            ("temporary", "generic", DeliveryStatus::Deferred),
        ] {
            let event = json!({
                "id": "1", "timestamp": 1.0, "event": "failed", "severity": severity, "reason": reason,
                "delivery-status": {"code": 602, "message": "Too old"},
            });
            assert_eq!(delivery(&event), Some(wanted), "{severity} {reason}");
        }
    }

    #[test]
    fn the_recipient_is_converted_to_the_form_in_the_job() {
        for (reported, recipient) in [
            ("Hello@Example.com", "hello@example.com"),
            ("info@xn--mller-kva.example", "info@xn--mller-kva.example"),
            ("Info@Müller.example", "info@xn--mller-kva.example"),
            ("Root@Intranet", "root@intranet"),
        ] {
            let event = json!({"id": "1", "timestamp": 1.0, "event": "delivered", "recipient": reported});
            match MailgunEvent::read(&event, Duration::from_secs(2), None).unwrap() {
                MailgunEvent::Delivery(read) => assert_eq!(read.recipient, recipient),
                MailgunEvent::Other => panic!("{event}"),
            }
        }
    }

    #[test]
    fn only_a_missing_mailbox_or_an_unwilling_recipient_is_suppressed() {
        let failed = |reason: &str, words: &str| {
            json!({
                "id": "1", "timestamp": 1.0, "event": "failed", "severity": "permanent", "reason": reason,
                "delivery-status": {"code": 550, "message": words},
            })
        };
        for (event, wanted) in [
            (failed("bounce", "5.1.1 No such user"), Some(SuppressionReason::Bounce)),
            (failed("bounce", "550 5.1.1 No such user"), Some(SuppressionReason::Bounce)),
            (failed("generic", "550-5.1.10 Null MX"), Some(SuppressionReason::Bounce)),
            (failed("bounce", "5.1.2 No such domain"), Some(SuppressionReason::Bounce)),
            (failed("bounce", "550 5.4.1 Recipient address rejected: Access denied"), Some(SuppressionReason::Bounce)),
            (failed("bounce", "5.1.0 Other address status"), None),
            (failed("bounce", "5.4.4 Unable to route"), None),
            (failed("bounce", "5.1.11 Not assigned"), None),
            (failed("bounce", "5.2.2 Mailbox full"), None),
            (failed("bounce", "5.7.1 Policy"), None),
            (failed("bounce", "No such user, see 5.1.1"), None),
            (failed("old", ""), None),
            (failed("suppress-bounce", ""), Some(SuppressionReason::ListedBounce)),
            (failed("suppress-complaint", ""), Some(SuppressionReason::ListedComplaint)),
            (failed("suppress-unsubscribe", ""), Some(SuppressionReason::ListedUnsubscribe)),
            (json!({"id": "1", "timestamp": 1.0, "event": "complained"}), Some(SuppressionReason::Complaint)),
            (json!({"id": "1", "timestamp": 1.0, "event": "delivered"}), None),
        ] {
            match MailgunEvent::read(&event, Duration::from_secs(2), None).unwrap() {
                MailgunEvent::Delivery(read) => assert_eq!(read.suppression, wanted, "{event}"),
                MailgunEvent::Other => panic!("{event}"),
            }
        }
        let mut temporary = failed("bounce", "5.1.1 No such user");
        temporary["severity"] = json!("temporary");
        let mut test_mode = failed("bounce", "5.1.1 No such user");
        test_mode["flags"] = json!({"is-test-mode": true});
        for event in [temporary, test_mode] {
            let read = MailgunEvent::read(&event, Duration::from_secs(2), None).unwrap();
            assert!(matches!(read, MailgunEvent::Delivery(read) if read.suppression.is_none()), "{event}");
        }
    }
}
