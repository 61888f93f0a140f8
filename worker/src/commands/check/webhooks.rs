//! Compares Mailgun's webhooks with the address of the api.

use std::collections::BTreeMap;

use confirm::PublicUrl;
use url::Url;

use super::finding::Finding;

pub(super) const PROBE: &str = "mailgun.webhooks";

/// The api's path for webhooks.
const PATH: &str = "/api/webhooks/mailgun";

/// The types of events that the api uses.
const TYPES: [&str; 5] = ["accepted", "delivered", "permanent_fail", "temporary_fail", "complained"];

/// Judges the URLs by type. Without `PUBLIC_URL`, any URL with the api's path counts. The worker learns from the events
/// what the webhooks do not report, so this is a warning only.
pub(super) fn judge(urls: &BTreeMap<String, Vec<String>>, public_url: Option<&PublicUrl>) -> Finding {
    let wanted = public_url.map(|url| format!("{}{PATH}", url.as_str()));
    let is_ours = |url: &String| match &wanted {
        Some(wanted) => url == wanted,
        None => Url::parse(url).is_ok_and(|url| url.path().ends_with(PATH)),
    };
    let has_ours = |kind: &&&str| urls.get(**kind).is_some_and(|urls| urls.iter().any(is_ours));
    let missing: Vec<&str> = TYPES.iter().filter(|kind| !has_ours(kind)).copied().collect();
    if missing.is_empty() {
        return Finding::ok(PROBE, "Mailgun reports to the api");
    }
    let mut elsewhere: Vec<String> =
        missing.iter().filter_map(|kind| urls.get(*kind)).flatten().filter_map(|url| origin(url)).collect();
    elsewhere.sort();
    elsewhere.dedup();
    let also = if elsewhere.is_empty() { String::new() } else { format!(", but to {}", elsewhere.join(", ")) };
    let address = wanted.unwrap_or_else(|| format!("https://…{PATH}"));
    let message = format!("Mailgun does not report events of type {} to {address}{also}", missing.join(", "));
    Finding::warn(PROBE, message, format!("Add webhooks of these types in Mailgun's console, with the URL {address}"))
}

/// The rest of the URL may contain a secret of another system.
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
    fn each_type_must_lead_to_the_api() {
        let public_url: PublicUrl = "https://login.example.com".parse().unwrap();
        let ours = "https://login.example.com/api/webhooks/mailgun";
        assert_eq!(judge(&at(ours, &TYPES), Some(&public_url)).result, ProbeResult::Ok);
        assert_eq!(judge(&at("https://other.example.com/api/webhooks/mailgun", &TYPES), None).result, ProbeResult::Ok);
        let finding = judge(&at(ours, &TYPES[1..]), Some(&public_url));
        assert_eq!(finding.message, format!("Mailgun does not report events of type accepted to {ours}"));
        let finding =
            judge(&at("https://user:sesame@hooks.example.org/s/sesame?key=sesame", &TYPES[..1]), Some(&public_url));
        assert!(finding.message.ends_with(", but to https://hooks.example.org"), "{finding:?}");
        assert!(!format!("{finding:?}").contains("sesame"), "{finding:?}");
        assert!(finding.action.unwrap().contains(ours));
    }
}
