//! Checks whether Mailgun's webhooks lead to the api.

use std::collections::BTreeMap;

use confirm::PublicUrl;
use url::Url;

use super::finding::Finding;

pub(super) const PROBE: &str = "mailgun.webhooks";

/// The api's path for webhooks.
const PATH: &str = "/api/webhooks/mailgun";

/// The types of events that the api uses.
const TYPES: [&str; 5] = ["accepted", "delivered", "permanent_fail", "temporary_fail", "complained"];

/// Judges the webhook URLs of each event type. Without `PUBLIC_URL`, every URL with the api's path is accepted. A
/// missing webhook causes only a warning, because the worker also fetches events from Mailgun.
pub(super) fn judge(urls: &BTreeMap<String, Vec<String>>, public_url: Option<&PublicUrl>) -> Finding {
    let wanted = public_url.map(|url| format!("{}{PATH}", url.as_str()));
    let is_ours = |url: &String| match &wanted {
        Some(wanted) => url == wanted,
        None => Url::parse(url).is_ok_and(|url| url.path().ends_with(PATH)),
    };
    let has_ours = |kind: &&&str| urls.get(**kind).is_some_and(|urls| urls.iter().any(is_ours));
    let missing: Vec<&str> = TYPES.iter().filter(|kind| !has_ours(kind)).copied().collect();
    if missing.is_empty() {
        return Finding::ok(PROBE, "Mailgun reports all events to the api");
    }
    let mut elsewhere: Vec<String> =
        missing.iter().filter_map(|kind| urls.get(*kind)).flatten().filter_map(|url| origin(url)).collect();
    elsewhere.sort();
    elsewhere.dedup();
    let also = if elsewhere.is_empty() {
        String::new()
    } else {
        format!("; some of them go to {} instead", elsewhere.join(", "))
    };
    let address = wanted.unwrap_or_else(|| format!("https://…{PATH}"));
    let message = format!("Mailgun does not report these events to {address}: {}{also}", missing.join(", "));
    Finding::warn(PROBE, message, format!("Add webhooks for these types in Mailgun's console, with the URL {address}"))
}

/// The part of a webhook's URL that is safe to show. The rest of the URL may contain another system's secret.
fn origin(url: &str) -> Option<String> {
    Some(Url::parse(url).ok()?.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::finding::ProbeResult;

    fn at(url: &str, types: &[&str]) -> BTreeMap<String, Vec<String>> {
        types.iter().map(|kind| ((*kind).to_owned(), vec![url.to_owned()])).collect()
    }

    #[test]
    fn each_event_type_needs_a_webhook_to_the_api() {
        let public_url: PublicUrl = "https://login.example.com".parse().unwrap();
        let ours = "https://login.example.com/api/webhooks/mailgun";
        assert_eq!(judge(&at(ours, &TYPES), Some(&public_url)).result, ProbeResult::Ok);
        assert_eq!(judge(&at("https://other.example.com/api/webhooks/mailgun", &TYPES), None).result, ProbeResult::Ok);
        let finding = judge(&at(ours, &TYPES[1..]), Some(&public_url));
        assert_eq!(finding.message, format!("Mailgun does not report these events to {ours}: accepted"));
        let finding =
            judge(&at("https://user:sesame@hooks.example.org/s/sesame?key=sesame", &TYPES[..1]), Some(&public_url));
        assert!(finding.message.ends_with("; some of them go to https://hooks.example.org instead"), "{finding:?}");
        assert!(!format!("{finding:?}").contains("sesame"), "{finding:?}");
        assert!(finding.action.unwrap().contains(ours));
    }
}
