//! The settings for Mailgun, for sending mail and for querying events.

use std::str::FromStr;

use outbox::Quota;
use portals::parse_sender;
use program::SettingErrors;
use secrecy::SecretString;
use url::Url;

use super::{
    ConnectionSettings, ProxySettings, WorkerArguments,
    values::{header_secret, mailgun_domain, upstream_url},
};

/// The settings for Mailgun.
pub struct MailgunClientSettings {
    /// The base URL of Mailgun's API in the domain's region.
    pub url: Url,
    /// The sending domain.
    pub domain: String,
    /// A key that is allowed to send mail. A sending key for the domain is sufficient.
    pub key: SecretString,
    /// The sender for portals without their own sender: `Name <address>` or an address.
    pub from: String,
    /// How to connect to Mailgun.
    pub connection: ConnectionSettings,
    /// Whether Mailgun must deliver over TLS.
    pub require_tls: bool,
    /// Whether Mailgun accepts any certificate from a recipient's mail server.
    pub skip_verification: bool,
    /// Maximum rate at which this worker sends mail.
    pub rate: Quota,
    /// A key that is allowed to read events, and to read and delete suppressions.
    pub events_key: Option<SecretString>,
    /// The Mailgun API to read events from.
    pub events_api: EventsApi,
}

/// Mailgun's two APIs that return a mail's events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsApi {
    /// `GET /v3/{domain}/events`: deprecated, but Mailgun documents its filter by Message-Id.
    Events,
    /// `POST /v1/analytics/logs`: the successor to the events API. Mailgun does not document its filter attributes.
    Logs,
}

impl FromStr for EventsApi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "events" => Ok(Self::Events),
            "logs" => Ok(Self::Logs),
            _ => Err(format!("`{text}` is neither events nor logs")),
        }
    }
}

impl MailgunClientSettings {
    pub(super) fn read(
        arguments: &WorkerArguments,
        proxy: Option<&ProxySettings>,
        errors: &mut SettingErrors,
    ) -> Option<Self> {
        const URL: &str = "https://api.eu.mailgun.net";
        const KEY: &str = "a sending key for the domain";
        const FROM: &str = "Example Portal <sign-in@mg.example.com>";
        let url = errors.read("MAILGUN_BASE_URL", URL, upstream_url(&arguments.mailgun_base_url));
        let domain = errors
            .required("MAILGUN_DOMAIN", "mg.example.com", arguments.mailgun_domain.as_ref())
            .and_then(|text| errors.read("MAILGUN_DOMAIN", "mg.example.com", mailgun_domain(text)));
        let key = errors
            .required("MAILGUN_API_KEY", KEY, arguments.mailgun_api_key.as_ref())
            .and_then(|key| errors.read("MAILGUN_API_KEY", KEY, header_secret(key)));
        let from = errors
            .required("MAIL_FROM", FROM, arguments.mail_from.as_ref())
            .and_then(|text| errors.read("MAIL_FROM", FROM, parse_sender(text)));
        let require_tls = errors.parse_bool("MAILGUN_REQUIRE_TLS", "true", &arguments.mailgun_require_tls);
        let skip_verification =
            errors.parse_bool("MAILGUN_SKIP_VERIFICATION", "false", &arguments.mailgun_skip_verification);
        let rate = errors.parse("MAILGUN_RATE", "20/1s", &arguments.mailgun_rate);
        let events_key = read_events_key(arguments, errors);
        let events_api = errors.parse("MAILGUN_EVENTS_API", "logs", &arguments.mailgun_events_api);
        Some(Self {
            url: url?,
            domain: domain?,
            key: key?,
            from: from?,
            connection: ConnectionSettings { proxy: proxy.cloned(), extra_roots: Vec::new() },
            require_tls: require_tls?,
            skip_verification: skip_verification?,
            rate: rate?,
            events_key: events_key?,
            events_api: events_api?,
        })
    }

    /// Whether the domain in `From` is `MAILGUN_DOMAIN`, which signs the mail, or one of its parent domains. If not,
    /// the two domains might not be aligned, and receivers might treat the mail as forged (DMARC, RFC 7489 §3.1).
    #[must_use]
    pub fn is_sender_aligned(&self) -> bool {
        is_aligned(&self.from, &self.domain)
    }

    /// The domain of the sender's address.
    pub(super) fn sender_domain(&self) -> &str {
        sender_domain(&self.from)
    }
}

fn sender_domain(from: &str) -> &str {
    from.trim_end_matches('>').rsplit('@').next().unwrap_or_default()
}

fn is_aligned(from: &str, domain: &str) -> bool {
    let sender = sender_domain(from).to_ascii_lowercase();
    domain.strip_suffix(&sender).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// `Some(None)` if no key is set, `None` if the key is invalid.
fn read_events_key(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Option<SecretString>> {
    match arguments.mailgun_events_key.as_ref().filter(|key| !key.trim().is_empty()) {
        None => Some(None),
        Some(key) => {
            errors.read("MAILGUN_EVENTS_KEY", "a key that may read the domain's events", header_secret(key)).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_is_aligned_with_the_sending_domain_and_its_parent_domains() {
        for (from, aligned) in [
            ("sign-in@mg.example.com", true),
            ("Portal <sign-in@MG.Example.com>", true),
            ("Portal <sign-in@example.com>", true),
            ("Portal <sign-in@news.example.com>", false),
            ("sign-in@g.example.com", false),
            ("sign-in@a.mg.example.com", false),
            ("sign-in@example.org", false),
            ("sign-in@ample.com", false),
        ] {
            assert_eq!(is_aligned(from, "mg.example.com"), aligned, "{from}");
        }
    }
}
