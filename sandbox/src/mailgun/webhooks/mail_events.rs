//! The events of a mail, in Mailgun's format. The recipient's local part selects the events. The field names come from
//! mailgun-go's event types and the manual's events page. `storage` is omitted, because the stand-in stores no
//! messages.

use crate::mailgun::{
    lists::SuppressionList,
    mail::{Mail, bare_address},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use serde_json::{Map, Value, json};

/// An event that Mailgun reports about a mail.
pub(super) enum MailEvent {
    Accepted,
    Delivered { attempt: u8 },
    Failed(&'static Failure),
    Complained,
}

/// Why a mail was not delivered.
pub(super) struct Failure {
    severity: &'static str,
    reason: &'static str,
    /// Whether Mailgun adds the address to the list of bounces.
    is_listed: bool,
    /// Builds the `delivery-status` for this address.
    status: fn(&str) -> Value,
}

use MailEvent::{Accepted, Complained, Delivered, Failed};

/// All events of a mail to this address, in order. If the address is on a suppression list, Mailgun does not try to
/// deliver the mail.
pub(super) fn of(address: &str, listed: Option<SuppressionList>) -> &'static [MailEvent] {
    match listed {
        Some(SuppressionList::Bounces) => return &[Accepted, Failed(&SUPPRESSED)],
        Some(SuppressionList::Complaints) => return &[Accepted, Failed(&SUPPRESSED_COMPLAINT)],
        Some(SuppressionList::Unsubscribes) => return &[Accepted, Failed(&SUPPRESSED_UNSUBSCRIBE)],
        None => {}
    }
    let local = address.split('@').next().unwrap_or_default();
    match local.split('+').next().unwrap_or_default() {
        "bounce" => &[Accepted, Failed(&NO_SUCH_USER)],
        "full" => &[Accepted, Failed(&MAILBOX_FULL)],
        "denied" => &[Accepted, Failed(&ACCESS_DENIED)],
        "blocked" => &[Accepted, Failed(&BLOCKED)],
        "certificate" => &[Accepted, Failed(&BAD_CERTIFICATE)],
        "suppressed" => &[Accepted, Failed(&SUPPRESSED)],
        "old" => &[Accepted, Failed(&TOO_OLD)],
        "late" => &[Accepted, Failed(&TOO_LATE)],
        "deferred" => &[Accepted, Failed(&GREYLISTED), Delivered { attempt: 2 }],
        "complaint" => &[Accepted, Delivered { attempt: 1 }, Complained],
        _ => &[Accepted, Delivered { attempt: 1 }],
    }
}

const NO_SUCH_USER: Failure = Failure {
    severity: "permanent",
    reason: "bounce",
    is_listed: true,
    status: |to| {
        let message = format!("5.1.1 <{to}>: Recipient address rejected: User unknown");
        smtp(1, json!({"code": 550, "enhanced-code": "5.1.1", "message": message, "bounce-type": "hard"}))
    },
};

const MAILBOX_FULL: Failure = Failure {
    severity: "permanent",
    reason: "bounce",
    is_listed: false,
    status: |to| {
        let message = format!("5.2.2 <{to}>: Mailbox full");
        smtp(1, json!({"code": 552, "enhanced-code": "5.2.2", "message": message, "bounce-type": "soft"}))
    },
};

/// Exchange Online's reply for a missing mailbox.
const ACCESS_DENIED: Failure = Failure {
    severity: "permanent",
    reason: "bounce",
    is_listed: true,
    status: |_| {
        let message = "5.4.1 Recipient address rejected: Access denied";
        smtp(1, json!({"code": 550, "enhanced-code": "5.4.1", "message": message, "bounce-type": "hard"}))
    },
};

/// The `description` is made up: Mailgun documents only the flags.
const BAD_CERTIFICATE: Failure = Failure {
    severity: "permanent",
    reason: "generic",
    is_listed: false,
    status: |_| {
        let description = "x509: certificate signed by unknown authority";
        let session = json!({"tls": false, "certificate-verified": false, "message": "", "description": description});
        smtp(1, session)
    },
};

const BLOCKED: Failure = Failure {
    severity: "permanent",
    reason: "bounce",
    is_listed: false,
    status: |_| {
        let message = "5.7.1 Message rejected due to local policy";
        smtp(1, json!({"code": 550, "enhanced-code": "5.7.1", "message": message, "bounce-type": "hard"}))
    },
};

/// Mailgun does not deliver to an address that has bounced before.
const SUPPRESSED: Failure = Failure {
    severity: "permanent",
    reason: "suppress-bounce",
    is_listed: true,
    status: |_| {
        let description = "Not delivering to previously bounced address";
        json!({"attempt-no": 1, "code": 605, "message": "", "description": description, "session-seconds": 0.0})
    },
};

const SUPPRESSED_UNSUBSCRIBE: Failure = Failure {
    severity: "permanent",
    reason: "suppress-unsubscribe",
    is_listed: false,
    status: |_| {
        let description = "Not delivering to unsubscribed address";
        json!({"attempt-no": 1, "code": 606, "message": "", "description": description, "session-seconds": 0.0})
    },
};

const SUPPRESSED_COMPLAINT: Failure = Failure {
    severity: "permanent",
    reason: "suppress-complaint",
    is_listed: false,
    status: |_| {
        let description = "Not delivering to a user who marked your messages as spam";
        json!({"attempt-no": 1, "code": 607, "message": "", "description": description, "session-seconds": 0.0})
    },
};

/// Mailgun gave up, as it does at the end of `o:deliver-within`. There is no code, because Mailgun documents none.
const TOO_OLD: Failure = Failure {
    severity: "permanent",
    reason: "old",
    is_listed: false,
    status: |_| json!({"attempt-no": 4, "message": "", "description": "Too old", "session-seconds": 0.0}),
};

/// The same failure as [`TOO_OLD`], in the form that Mailgun users have reported.
const TOO_LATE: Failure = Failure {
    severity: "temporary",
    reason: "old",
    is_listed: false,
    status: |_| json!({"attempt-no": 8, "code": 602, "message": "Too old", "description": "", "session-seconds": 0}),
};

const GREYLISTED: Failure = Failure {
    severity: "temporary",
    reason: "generic",
    is_listed: false,
    status: |_| {
        let message = "4.7.1 Greylisted, try again later";
        smtp(1, json!({"code": 451, "enhanced-code": "4.7.1", "message": message, "retry-seconds": 600}))
    },
};

/// A mail server's reply, with Mailgun's details of the SMTP session.
fn smtp(attempt: u8, answer: Value) -> Value {
    let session = json!({
        "tls": true, "certificate-verified": true, "utf8": true, "mx-host": "mx1.example.org",
        "session-seconds": 0.4367, "attempt-no": attempt, "description": "",
    });
    merged(session, answer)
}

impl MailEvent {
    /// The suppression list to which this event adds the address.
    pub(super) fn suppression_list(&self) -> Option<SuppressionList> {
        match self {
            Failed(Failure { is_listed: true, .. }) => Some(SuppressionList::Bounces),
            Complained => Some(SuppressionList::Complaints),
            _ => None,
        }
    }

    /// The `event-data` of a webhook, with a new id and the current time.
    pub(super) fn event_data(&self, mail: &Mail, recipient: &str) -> Value {
        merged(common(mail, recipient), self.particulars(mail, recipient))
    }

    fn particulars(&self, mail: &Mail, recipient: &str) -> Value {
        let (sender, domain) = (bare_address(&mail.from), domain(recipient));
        let envelope = json!({"transport": "smtp", "sender": sender, "targets": recipient});
        let flags = json!({
            "is-routed": false, "is-authenticated": true, "is-system-test": false, "is-test-mode": false,
        });
        match self {
            Accepted => json!({
                "event": "accepted", "log-level": "info", "recipient-domain": domain,
                "method": "HTTP", "originating-ip": "127.0.0.1", "envelope": envelope,
                "flags": {"is-authenticated": true, "is-test-mode": false},
            }),
            Delivered { attempt } => json!({
                "event": "delivered", "log-level": "info", "recipient-domain": domain,
                "recipient-provider": "Other", "envelope": envelope, "flags": flags,
                "delivery-status": smtp(*attempt, json!({"code": 250, "message": "OK"})),
            }),
            Failed(Failure { severity, reason, status, .. }) => json!({
                "event": "failed", "log-level": if *severity == "permanent" { "error" } else { "warn" },
                "severity": severity, "reason": reason, "recipient-domain": domain,
                "envelope": envelope, "flags": flags, "delivery-status": status(recipient),
            }),
            // Mailgun sends no `recipient-domain` with complaints.
            Complained => json!({"event": "complained", "log-level": "warn", "flags": {"is-test-mode": false}}),
        }
    }
}

/// The fields that every mail event has.
fn common(mail: &Mail, recipient: &str) -> Value {
    let tags = mail.options.iter().filter(|(name, _)| name == "tag").map(|(_, tag)| tag.as_str());
    let variables: Map<String, Value> =
        mail.variables.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    json!({
        "id": URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
        "timestamp": Utc::now().timestamp_micros() as f64 / 1e6,
        "recipient": recipient,
        "message": {
            "headers": {
                "to": mail.to.join(", "),
                // The response to the send request contains the Message-Id with angle brackets; events contain it
                // without them.
                "message-id": mail.message_id.trim_start_matches('<').trim_end_matches('>'),
                "from": mail.from,
                "subject": mail.subject,
            },
            "attachments": [],
            "size": mail.text.len() + mail.html.len(),
        },
        "tags": tags.collect::<Vec<_>>(),
        "campaigns": [],
        "user-variables": variables,
    })
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

fn merged(mut all: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
        all.extend(more);
    }
    all
}
