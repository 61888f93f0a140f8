//! Probes of the DNS records that receivers use to authenticate the mails: SPF and DKIM for the sending domain, and
//! DMARC for the senders' domains.

use std::collections::BTreeSet;

use super::{
    dns_records::{Dkim, Dmarc, DmarcRecord, Spf, dkim_key, registrable},
    dns_resolver::Dns,
    finding::Finding,
    in_time,
};
use crate::{
    settings::CheckSettings,
    upstream::mailgun_domain::{DkimRecord, DomainFacts},
};

const SPF: &str = "dns.spf";
const DKIM: &str = "dns.dkim";
const DMARC: &str = "dns.dmarc";

/// DKIM selectors that Mailgun often uses. They are tried if Mailgun does not report the domain's selectors.
const USUAL_SELECTORS: [&str; 7] = ["mailo", "k1", "pic", "s1", "mx", "smtp", "mg"];
/// Maximum number of DNS lookups for one SPF record (RFC 7208, section 4.6.4).
const MAX_SPF_LOOKUPS: usize = 10;

pub(super) async fn check(settings: &CheckSettings, domain: Option<&DomainFacts>) -> Vec<Finding> {
    let sending = settings.worker.mailgun.domain.as_str();
    let dns = match Dns::new(settings.dns_server) {
        Ok(dns) => dns,
        Err(why) => return [SPF, DKIM, DMARC].map(|probe| no_answer(probe, &why)).into(),
    };
    let (spf, dkim, dmarc) = tokio::join!(
        in_time(check_spf(&dns, sending)),
        in_time(check_dkim(&dns, sending, domain)),
        in_time(check_all_dmarc(&dns, settings)),
    );
    let slow = |probe| no_answer(probe, "no answer in time");
    let mut findings = vec![spf.unwrap_or_else(|| slow(SPF)), dkim.unwrap_or_else(|| slow(DKIM))];
    findings.extend(dmarc.unwrap_or_else(|| vec![slow(DMARC)]));
    findings
}

fn no_answer(probe: &'static str, why: &str) -> Finding {
    let message = format!("DNS cannot be queried from this machine: {why}");
    Finding::warn(probe, message, "Pass --dns with a DNS server that this machine can reach")
}

async fn check_spf(dns: &Dns, domain: &str) -> Finding {
    let record = "v=spf1 include:mailgun.org ~all";
    let mut wanted = vec![domain.to_owned()];
    let mut asked = BTreeSet::new();
    while let Some(name) = wanted.pop() {
        if asked.len() > MAX_SPF_LOOKUPS || !asked.insert(name.clone()) {
            continue;
        }
        let is_first = asked.len() == 1;
        let records = match dns.txt(&name).await {
            Ok(records) => records,
            Err(why) => return no_answer(SPF, &why),
        };
        match Spf::of(&records) {
            Spf::Missing if is_first => {
                let message = format!("{domain} has no SPF record");
                return Finding::fail(SPF, message, format!("Add a TXT record at {domain}: {record}"));
            }
            Spf::Several if is_first => {
                let message = format!("{domain} has several SPF records, which makes all of them invalid");
                return Finding::fail(SPF, message, format!("Merge them into one TXT record, such as {record}"));
            }
            Spf::Missing | Spf::Several => {}
            Spf::One { includes_mailgun: true, .. } => {
                return Finding::ok(SPF, format!("The SPF record of {domain} includes Mailgun"));
            }
            Spf::One { others, .. } => wanted.extend(others),
        }
    }
    let message = format!("The SPF record of {domain} does not include Mailgun");
    Finding::fail(SPF, message, format!("Add include:mailgun.org to the TXT record at {domain}, such as {record}"))
}

async fn check_dkim(dns: &Dns, domain: &str, facts: Option<&DomainFacts>) -> Finding {
    match facts {
        Some(DomainFacts { dkim, .. }) if !dkim.is_empty() => check_named_dkim(dns, dkim).await,
        _ => search_dkim(dns, domain).await,
    }
}

/// Checks the DKIM records that Mailgun lists for the domain. It is enough if one of them is correct.
async fn check_named_dkim(dns: &Dns, wanted: &[DkimRecord]) -> Finding {
    const ACTION: &str = "Set the DKIM record to the value that Mailgun's console shows for it";
    let mut faults = vec![];
    for DkimRecord { name, value } in wanted {
        let records = match dns.txt(name).await {
            Ok(records) => records,
            Err(why) => return no_answer(DKIM, &why),
        };
        match (Dkim::of(&records), dkim_key(value)) {
            (Dkim::Key(key), Some(of_mailgun)) if key != of_mailgun => {
                faults.push(format!("{name} has a DKIM key that differs from Mailgun's"));
            }
            (Dkim::Key(_), _) => return Finding::ok(DKIM, format!("{name} has a DKIM key")),
            (Dkim::Revoked, _) => faults.push(format!("{name} has a revoked DKIM key (an empty p=)")),
            (Dkim::Missing, _) => faults.push(format!("{name} has no DKIM key")),
        }
    }
    Finding::fail(DKIM, format!("Receivers cannot verify Mailgun's signatures: {}", faults.join(", ")), ACTION)
}

/// Looks for a DKIM key under the names that Mailgun often uses. Called if Mailgun did not report the names of the
/// domain's DKIM records.
async fn search_dkim(dns: &Dns, domain: &str) -> Finding {
    let mut revoked = None;
    let names = USUAL_SELECTORS.map(|selector| format!("{selector}._domainkey.{domain}"));
    for name in &names {
        match dns.txt(name).await.map(|records| Dkim::of(&records)) {
            Ok(Dkim::Key(_)) => return Finding::ok(DKIM, format!("{name} has a DKIM key")),
            Ok(Dkim::Revoked) => revoked = Some(name),
            Ok(Dkim::Missing) => {}
            Err(why) => return no_answer(DKIM, &why),
        }
    }
    let message = match revoked {
        Some(name) => format!("{name} has a revoked DKIM key (an empty p=), and no other key was found"),
        None => {
            let names = names.join(", ");
            format!(
                "No DKIM key was found under the names that Mailgun often uses ({names}); the key may have another name"
            )
        }
    };
    let action = format!(
        "Compare the DKIM record of {domain} with the one in Mailgun's console, or set MAILGUN_EVENTS_KEY to a key \
         that has permission to read the domain's settings"
    );
    Finding::warn(DKIM, message, action)
}

async fn check_all_dmarc(dns: &Dns, settings: &CheckSettings) -> Vec<Finding> {
    let mut findings = vec![];
    for from in &settings.sender_domains {
        findings.push(check_dmarc(dns, from, &settings.worker.mailgun.domain).await);
    }
    findings
}

/// Checks the DMARC policy of a sender's domain. If that domain has no DMARC record, receivers use the record of its
/// registrable domain.
async fn check_dmarc(dns: &Dns, from: &str, sending: &str) -> Finding {
    let parent = registrable(from).filter(|parent| *parent != from);
    for name in [Some(from), parent].into_iter().flatten() {
        match dns.txt(&format!("_dmarc.{name}")).await.map(|records| DmarcRecord::of(&records, name != from)) {
            Ok(DmarcRecord::One(policy)) => return judge_policy(&policy, name, from, sending),
            Ok(DmarcRecord::Several) => {
                let message = format!("_dmarc.{name} has several DMARC records, so receivers ignore all of them");
                return Finding::warn(DMARC, message, format!("Keep only one of the TXT records at _dmarc.{name}"));
            }
            Ok(DmarcRecord::Missing) => {}
            Err(why) => return no_answer(DMARC, &why),
        }
    }
    if Dmarc::default().is_aligned(from, sending) {
        let message = format!("{from} has no DMARC policy, but large receivers expect one");
        let place = parent.unwrap_or(from);
        return Finding::warn(DMARC, message, format!("Add a TXT record at _dmarc.{place}: v=DMARC1; p=none"));
    }
    let message =
        format!("{from} has no DMARC policy, and the mails look forged because {sending} is an unrelated domain");
    Finding::warn(DMARC, message, use_sender_of(sending))
}

/// Judges the policy that was found at `name`, which is the sender's domain `from` or its registrable domain.
fn judge_policy(found: &Dmarc, name: &str, from: &str, sending: &str) -> Finding {
    let policy = found.policy.name();
    let has = if name == from {
        format!("{from} has the DMARC policy {policy}")
    } else {
        format!("{from} inherits the DMARC policy {policy} from {name}")
    };
    if found.is_aligned(from, sending) {
        return Finding::ok(DMARC, format!("{has}, and mails signed by {sending} pass DMARC"));
    }
    let message = format!("{has}, but mails signed by {sending} do not pass DMARC");
    if found.policy.is_enforced() {
        Finding::fail(DMARC, message, use_sender_of(sending))
    } else {
        Finding::warn(DMARC, message, use_sender_of(sending))
    }
}

fn use_sender_of(sending: &str) -> String {
    format!("Set MAIL_FROM (or the portal's from) to an address at {sending}")
}
