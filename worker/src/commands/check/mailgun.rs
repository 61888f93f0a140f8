//! Probes that check whether Mailgun answers, accepts the keys, and lets the domain send.

use std::time::Duration;

use outbox::Upstream;

use super::{CALL_LIMIT, finding::Finding, in_time, webhooks};
use crate::{
    settings::{CheckSettings, MailgunClientSettings},
    upstream::{
        check::CheckResult, mailgun::MailgunClient, mailgun_domain::DomainFacts, mailgun_events::MailgunEventsClient,
        verdict::UpstreamFailure,
    },
};

const CONNECTION: &str = "mailgun.connection";
const KEY: &str = "mailgun.key";
const DOMAIN: &str = "mailgun.domain";
const EVENTS_KEY: &str = "mailgun.events-key";
const STATE: &str = "mailgun.state";

const US: &str = "https://api.mailgun.net";
const EU: &str = "https://api.eu.mailgun.net";

/// Returns the findings, and what Mailgun reports about the domain if `MAILGUN_EVENTS_KEY` is allowed to read the
/// domain.
pub(super) async fn check(settings: &CheckSettings) -> (Vec<Finding>, Option<DomainFacts>) {
    let mailgun = &settings.worker.mailgun;
    let timeout = settings.worker.limits.upstream_timeout.min(CALL_LIMIT);
    let clients = MailgunClient::new(mailgun, timeout)
        .and_then(|client| Ok((client, MailgunEventsClient::new(mailgun, timeout)?)));
    let (client, events) = match clients {
        Ok(clients) => clients,
        Err(error) => {
            let message = format!("The HTTP client cannot be created: {error}");
            return (vec![Finding::fail(CONNECTION, message, "Check MAILGUN_BASE_URL and MAILGUN_RATE")], None);
        }
    };
    let answer = in_time(client.check(timeout)).await.unwrap_or(CheckResult::Unclear);
    let is_account_key = answer == CheckResult::Passed && may_read_domain(mailgun, timeout).await;
    let (mut findings, is_reached) = judge(&answer, mailgun, is_account_key);
    let (events_findings, facts) = match events {
        _ if !is_reached => (skip_events("This probe needs an answer from Mailgun"), None),
        None => (skip_events("MAILGUN_EVENTS_KEY is not set, so the worker can only send mails"), None),
        Some(events) => check_events(settings, &events).await,
    };
    findings.extend(events_findings);
    (findings, facts)
}

/// Whether `MAILGUN_API_KEY` can do more than send mails. With a sending key, Mailgun refuses all other calls.
async fn may_read_domain(settings: &MailgunClientSettings, timeout: Duration) -> bool {
    let Ok(client) = MailgunEventsClient::with_key(settings, settings.key.clone(), timeout) else { return false };
    matches!(in_time(client.domain_facts()).await, Some(Ok(Some(_))))
}

fn skip_events(why: &str) -> Vec<Finding> {
    [EVENTS_KEY, STATE, webhooks::PROBE].map(|probe| Finding::skip(probe, why)).into()
}

/// The findings about sending, and whether Mailgun answered.
fn judge(answer: &CheckResult, settings: &MailgunClientSettings, is_account_key: bool) -> (Vec<Finding>, bool) {
    let domain = &settings.domain;
    let reached = || Finding::ok(CONNECTION, "Mailgun answers");
    let key = || {
        let kind = if is_account_key {
            format!(". It is an account key; a sending key for {domain} would be enough")
        } else {
            String::new()
        };
        Finding::ok(KEY, format!("Mailgun accepts MAILGUN_API_KEY{kind}"))
    };
    match answer {
        CheckResult::Passed => {
            (vec![reached(), key(), Finding::ok(DOMAIN, format!("Mailgun accepts mail from {domain}"))], true)
        }
        CheckResult::Unclear => {
            let message = "It is unclear whether Mailgun accepts the key, perhaps because of a rate limit";
            (vec![reached(), Finding::warn(KEY, message, "Run the check again in a minute")], true)
        }
        CheckResult::Failed(failure) => {
            let (code, message) = (failure.reason.code.as_str(), failure.reason.message.as_str());
            let skip = |probe| Finding::skip(probe, "This probe needs a key that Mailgun accepts");
            match code {
                "mailgun_key_refused" | "mailgun_forbidden" | "mailgun_payment_required" => {
                    (vec![reached(), Finding::fail(KEY, message, key_action(code, settings)), skip(DOMAIN)], true)
                }
                "mailgun_domain_not_found"
                | "mailgun_domain_not_allowed"
                | "mailgun_recipient_not_authorized"
                | "mailgun_sender_refused" => {
                    (vec![reached(), key(), Finding::fail(DOMAIN, message, domain_action(code, settings))], true)
                }
                _ => {
                    let action = connection_action(failure);
                    let skip = |probe| Finding::skip(probe, "This probe needs an answer from Mailgun");
                    (vec![Finding::fail(CONNECTION, message, action), skip(KEY), skip(DOMAIN)], false)
                }
            }
        }
    }
}

fn key_action(code: &str, settings: &MailgunClientSettings) -> String {
    match code {
        "mailgun_forbidden" => "Add this machine's address to the IP allow list of the Mailgun account".to_owned(),
        "mailgun_payment_required" => "Check the billing page of the Mailgun account".to_owned(),
        _ => format!(
            "Set MAILGUN_API_KEY to a sending key for {}. If the key is correct, the domain is in the other region: {}",
            settings.domain,
            other_region(settings)
        ),
    }
}

fn domain_action(code: &str, settings: &MailgunClientSettings) -> String {
    let domain = &settings.domain;
    match code {
        "mailgun_domain_not_found" => format!(
            "Set MAILGUN_DOMAIN to one of the account's domains. If {domain} is correct, it is in the other region: {}",
            other_region(settings)
        ),
        "mailgun_sender_refused" => format!("Set MAIL_FROM to an address at {domain}"),
        "mailgun_recipient_not_authorized" => {
            "Set MAILGUN_DOMAIN to a domain of your own instead of a sandbox domain".to_owned()
        }
        _ => format!("Verify {domain} in Mailgun's console, and check the state of the account"),
    }
}

/// The setting that selects Mailgun's other region.
fn other_region(settings: &MailgunClientSettings) -> String {
    let is_eu = settings.url.host_str() == Some("api.eu.mailgun.net");
    format!("set MAILGUN_BASE_URL={}", if is_eu { US } else { EU })
}

fn connection_action(failure: &UpstreamFailure) -> String {
    match failure.reason.code.as_str() {
        "mailgun_unreachable" | "mailgun_no_answer" => {
            "Check MAILGUN_BASE_URL, DNS, HTTPS_PROXY and the network".to_owned()
        }
        "mailgun_unavailable" | "mailgun_unreadable" => "See Mailgun's status page".to_owned(),
        "mailgun_wrong_url" => format!("Set MAILGUN_BASE_URL to {US} or {EU}"),
        _ => format!("Check {}", failure.setting(Upstream::Mailgun)),
    }
}

async fn check_events(settings: &CheckSettings, events: &MailgunEventsClient) -> (Vec<Finding>, Option<DomainFacts>) {
    const ACTION: &str = "Set MAILGUN_EVENTS_KEY to an account key that may read events. A sending key cannot do so";
    const SLOW: &str = "Mailgun did not answer in time";
    let key = match in_time(events.check()).await {
        Some(Ok(())) => Finding::ok(EVENTS_KEY, "Mailgun accepts MAILGUN_EVENTS_KEY"),
        Some(Err(error)) => Finding::fail(EVENTS_KEY, error.reason, ACTION),
        None => Finding::warn(EVENTS_KEY, SLOW, "Run the check again in a minute"),
    };
    let facts = in_time(events.domain_facts()).await;
    let state = match &facts {
        Some(Ok(Some(facts))) => judge_state(facts, &events.domain),
        Some(Ok(None)) => Finding::skip(STATE, "MAILGUN_EVENTS_KEY is not allowed to read the domain"),
        Some(Err(error)) => Finding::skip(STATE, error.reason),
        None => Finding::skip(STATE, SLOW),
    };
    let urls = in_time(events.webhook_urls()).await;
    let hooks = match urls {
        Some(Ok(Some(urls))) => webhooks::judge(&urls, settings.public_url.as_ref()),
        Some(Ok(None)) => Finding::skip(webhooks::PROBE, "MAILGUN_EVENTS_KEY is not allowed to read the webhooks"),
        Some(Err(error)) => Finding::skip(webhooks::PROBE, error.reason),
        None => Finding::skip(webhooks::PROBE, SLOW),
    };
    (vec![key, state, hooks], facts.and_then(Result::ok).flatten())
}

fn judge_state(facts: &DomainFacts, domain: &str) -> Finding {
    if facts.is_disabled || facts.state != "active" {
        // The state comes from Mailgun. Show it only if it is a single lower-case word.
        let is_word = facts.state.bytes().all(|byte| byte.is_ascii_lowercase());
        let state = if facts.is_disabled {
            "disabled"
        } else if is_word {
            facts.state.as_str()
        } else {
            "not active"
        };
        let action = format!("Verify {domain} in Mailgun's console. If it is disabled, contact Mailgun support");
        return Finding::fail(STATE, format!("In Mailgun, {domain} is {state}"), action);
    }
    Finding::ok(STATE, format!("{domain} is active"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{ConnectionSettings, EventsApi};

    #[test]
    fn the_other_region_is_suggested() {
        for (url, other) in [(US, EU), (EU, US), ("http://127.0.0.1:9", EU)] {
            let settings = MailgunClientSettings {
                url: url.parse().unwrap(),
                domain: "mg.example.com".to_owned(),
                key: "key".to_owned().into(),
                from: "a@mg.example.com".to_owned(),
                connection: ConnectionSettings::default(),
                require_tls: true,
                skip_verification: false,
                rate: "1/1s".parse().unwrap(),
                events_key: None,
                events_api: EventsApi::Events,
            };
            for action in
                [key_action("mailgun_key_refused", &settings), domain_action("mailgun_domain_not_found", &settings)]
            {
                assert!(action.ends_with(&format!("set MAILGUN_BASE_URL={other}")), "{action}");
            }
        }
    }
}
