//! Probes of the DNS records by which receivers recognise the mails: SPF and DKIM of the sending domain, and DMARC of the senders'
//! domains.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::runtime::TokioRuntimeProvider,
    proto::rr::{RData, RecordType},
};

use super::{
    dns_records::{Dmarc, Spf, is_dkim_key, registrable},
    finding::Finding,
    in_time,
};
use crate::{settings::CheckSettings, upstream::mailgun_domain::DomainFacts};

const SPF: &str = "dns.spf";
const DKIM: &str = "dns.dkim";
const DMARC: &str = "dns.dmarc";

/// DKIM selectors that Mailgun often uses. They are tried if the key may not read which selectors the domain has.
const USUAL_SELECTORS: [&str; 7] = ["mailo", "k1", "pic", "s1", "mx", "smtp", "mg"];
/// Maximum number of DNS lookups of one SPF record (RFC 7208, section 4.6.4).
const MAX_SPF_LOOKUPS: usize = 10;
/// Maximum time for one query. A query without an answer is repeated once.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

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
                let message = format!("{domain} has several SPF records, which counts as an error");
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
    let named = facts.map(|facts| facts.dkim_names.clone()).filter(|names| !names.is_empty());
    let is_named = named.is_some();
    let names =
        named.unwrap_or_else(|| USUAL_SELECTORS.map(|selector| format!("{selector}._domainkey.{domain}")).into());
    for name in &names {
        match dns.txt(name).await {
            Ok(records) if records.iter().any(|record| is_dkim_key(record)) => {
                return Finding::ok(DKIM, format!("{name} has a DKIM key"));
            }
            Ok(_) => {}
            Err(why) => return no_answer(DKIM, &why),
        }
    }
    let tried = names.join(", ");
    if is_named {
        let action = "Add the TXT record that Mailgun's console shows for this name";
        return Finding::fail(DKIM, format!("Mailgun signs with {tried}, but no DKIM key was found there"), action);
    }
    let message = format!("No DKIM key at the names that Mailgun often uses ({tried}); the key may be at another name");
    let action = format!(
        "Compare the DKIM record of {domain} with Mailgun's console, or set MAILGUN_EVENTS_KEY to a key that may read it"
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

/// Checks the policy of a sender's domain. Receivers take it from the registrable domain if the domain itself has none.
async fn check_dmarc(dns: &Dns, from: &str, sending: &str) -> Finding {
    let parent = registrable(from);
    let mut names = vec![from];
    names.extend(parent.filter(|parent| *parent != from));
    let mut found = None;
    for name in names {
        match dns.txt(&format!("_dmarc.{name}")).await {
            Ok(records) => found = Dmarc::of(&records, name != from),
            Err(why) => return no_answer(DMARC, &why),
        }
        if found.is_some() {
            break;
        }
    }
    let aligned = found.clone().unwrap_or_default().is_aligned(from, sending);
    let related = format!("Set MAIL_FROM (or the portal's from) to an address of {sending}");
    match found {
        Some(policy) if aligned => Finding::ok(
            DMARC,
            format!("{from} has the policy {}, and mails of {sending} meet it", policy.policy.name()),
        ),
        Some(policy) => {
            let name = policy.policy.name();
            let message =
                format!("Mails from {from} that {sending} signs do not meet the DMARC policy {name} of {from}");
            if policy.policy.is_enforced() {
                Finding::fail(DMARC, message, related)
            } else {
                Finding::warn(DMARC, message, related)
            }
        }
        None if aligned => {
            let message = format!("{from} has no DMARC policy, and large receivers expect one");
            let place = parent.unwrap_or(from);
            Finding::warn(DMARC, message, format!("Add a TXT record at _dmarc.{place}: v=DMARC1; p=none"))
        }
        None => {
            let message = format!(
                "{from} has no DMARC policy, and {sending} has another registrable domain, so the mails look forged"
            );
            Finding::warn(DMARC, message, related)
        }
    }
}

/// A DNS resolver.
struct Dns(TokioResolver);

impl Dns {
    /// A resolver that asks `server`. Without `server`, it asks the system's DNS servers.
    ///
    /// # Errors
    /// Why the system's configuration cannot be used.
    fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let builder = match server {
            Some(address) => {
                let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
                (udp.port, tcp.port) = (address.port(), address.port());
                let server = NameServerConfig::new(address.ip(), true, vec![udp, tcp]);
                let config = ResolverConfig::from_parts(None, vec![], vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
            None => TokioResolver::builder_tokio().map_err(|error| error.to_string())?,
        };
        let mut builder = builder;
        builder.options_mut().timeout = QUERY_TIMEOUT;
        builder.options_mut().attempts = 1;
        builder.build().map(Self).map_err(|error| error.to_string())
    }

    /// The TXT records of a name, each with its parts joined. Empty if there are none.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn txt(&self, name: &str) -> Result<Vec<String>, String> {
        let lookup = match self.0.lookup(format!("{name}."), RecordType::TXT).await {
            Ok(lookup) => lookup,
            Err(error) if error.is_no_records_found() => return Ok(vec![]),
            Err(error) => return Err(outbox::redact(&error.to_string())),
        };
        let text = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|part| String::from_utf8_lossy(part)).collect::<String>()),
            _ => None,
        };
        Ok(lookup.answers().iter().filter_map(|record| text(&record.data)).collect())
    }
}
