//! `--peer`: shows whose rate limit a request counts against, and why. The api uses the same code to find the caller.

use std::net::IpAddr;

use callers::{ClientIpFinder, ClientIpSource, ClientNetwork, ClientReason, entries_from_the_right, is_private};
use poem::http::{HeaderMap, HeaderName, header};

use super::finding::Finding;
use crate::settings::CallerQuestion;

const CLIENT: &str = "proxies.client";
const HEADERS: &str = "proxies.headers";

/// Maximum number of bytes that are printed from a malformed entry.
const SHOWN_BYTES: usize = 40;

pub(super) fn check(question: &CallerQuestion) -> Vec<Finding> {
    let CallerQuestion { finder, peer, headers, .. } = question;
    let found = finder.find(*peer, headers);
    let because = because(finder, found.reason, headers);
    let message = format!("The request counts against the limit for {}: {because}", shown_network(found.address));
    let client = match advice(finder, found.reason, found.address, headers) {
        Some(action) => Finding::warn(CLIENT, message, action),
        None => Finding::ok(CLIENT, message),
    };
    let mut findings = vec![client];
    findings.extend(judge_other_headers(finder, found.reason, headers));
    findings
}

/// The network whose limit the request counts against. For an IPv6 address, this is the whole /64 network.
fn shown_network(address: IpAddr) -> String {
    let network = ClientNetwork::from(address);
    if address.is_ipv6() { format!("{network}, the network of {address}") } else { network.to_string() }
}

/// Why the request counts against the limit for the address that was found, as the second half of a sentence.
fn because(finder: &ClientIpFinder, reason: ClientReason, headers: &HeaderMap) -> String {
    let name = title(&finder.header());
    match reason {
        ClientReason::UntrustedPeer if !finder.trusts_any() => {
            "TRUSTED_PROXIES is not set, so the peer's address is used and its headers are ignored".to_owned()
        }
        ClientReason::UntrustedPeer => {
            "the peer is not in TRUSTED_PROXIES, so its own address is used and its headers are ignored".to_owned()
        }
        ClientReason::HeaderMissing => format!("the request has no {name}, so the peer's address is used"),
        ClientReason::Entry { position } => match finder.source() {
            ClientIpSource::ForwardedForHops(_) => {
                format!("TRUSTED_PROXY_HOPS selects entry {position} from the right of {name}")
            }
            _ => {
                format!("entry {position} from the right of {name} is the first that is not in TRUSTED_PROXIES")
            }
        },
        ClientReason::EntryMalformed { position } => {
            let entry = entries_from_the_right(headers).nth(position - 1).unwrap_or_default();
            let used = match finder.source() {
                ClientIpSource::ForwardedFor if position > 1 => "the address of the proxy that added it",
                _ => "the peer's address",
            };
            format!("entry {position} from the right of {name} is {}, so {used} is used", shown_entry(entry))
        }
        ClientReason::OnlyProxies => {
            format!("all entries of {name} are in TRUSTED_PROXIES, so the leftmost entry is used")
        }
        ClientReason::TooFewEntries { entries } => {
            let entries = if entries == 1 { "only 1 entry".to_owned() } else { format!("only {entries} entries") };
            format!("{name} has {entries}, fewer than TRUSTED_PROXY_HOPS, so the peer's address is used")
        }
        ClientReason::HeaderAddress => format!("{name} contains this address"),
        ClientReason::HeaderRepeated => format!("{name} occurs more than once, so the peer's address is used"),
        ClientReason::HeaderMalformed => {
            let line = headers.get(finder.header()).map_or(&[][..], |line| line.as_bytes());
            format!("{name} is {}, so the peer's address is used", shown_entry(line))
        }
    }
}

/// What to do if the address is probably not a caller's. `None` if nothing is wrong.
fn advice(finder: &ClientIpFinder, reason: ClientReason, address: IpAddr, headers: &HeaderMap) -> Option<String> {
    let name = title(&finder.header());
    let advice = match reason {
        ClientReason::UntrustedPeer => return advice_about_peer(address, headers),
        ClientReason::Entry { .. } | ClientReason::HeaderAddress => return advice_about_named(finder, address),
        ClientReason::HeaderMissing => advice_about_missing_header(finder, headers),
        ClientReason::EntryMalformed { .. } => {
            format!("Configure each proxy to add only the IP address of its caller to {name}")
        }
        ClientReason::OnlyProxies => format!(
            "{} configure the first proxy to add its caller's address to {name}, or remove the callers from \
             TRUSTED_PROXIES",
            unless_back_end(address)
        ),
        ClientReason::TooFewEntries { .. } => {
            "Set TRUSTED_PROXY_HOPS to the number of entries that your proxies add to every request".to_owned()
        }
        ClientReason::HeaderRepeated => {
            format!("Configure the platform to replace the caller's {name} header instead of adding a second one")
        }
        ClientReason::HeaderMalformed => {
            format!("Configure the platform to put only the caller's IP address into {name}")
        }
    };
    Some(with_sharing(address, &advice))
}

fn with_sharing(address: IpAddr, advice: &str) -> String {
    format!("All callers behind {address} share this limit. {advice}")
}

fn unless_back_end(address: IpAddr) -> String {
    format!("If {address} is a back end that sends its own requests, nothing is wrong. Otherwise,")
}

/// What to do if the api uses the peer's address because the peer is not in `TRUSTED_PROXIES`.
fn advice_about_peer(peer: IpAddr, headers: &HeaderMap) -> Option<String> {
    let add = format!("If {peer} is your proxy, all callers behind it share this limit: add it to TRUSTED_PROXIES");
    match (is_private(peer), headers.is_empty()) {
        (true, _) => Some(add),
        (false, false) => {
            Some(format!("{add}. If {peer} is a caller, nothing is wrong, because a caller can send any header"))
        }
        (false, true) => None,
    }
}

/// What to do if the address in a header is probably a proxy's.
fn advice_about_named(finder: &ClientIpFinder, address: IpAddr) -> Option<String> {
    let change = match finder.source() {
        ClientIpSource::ForwardedFor => "add it to TRUSTED_PROXIES",
        ClientIpSource::ForwardedForHops(_) => "raise TRUSTED_PROXY_HOPS by 1 for each proxy that adds its own address",
        ClientIpSource::Header(_) => "set CLIENT_IP_HEADER to a header that contains the caller's address",
    };
    if finder.trusts(address) {
        return Some(with_sharing(address, &format!("{} {change}", unless_back_end(address))));
    }
    is_private(address).then(|| {
        format!("{address} is a private address. If it is a proxy, all callers behind it share this limit: {change}")
    })
}

/// What to do if a trusted proxy does not send the header that the settings specify.
fn advice_about_missing_header(finder: &ClientIpFinder, headers: &HeaderMap) -> String {
    let name = title(&finder.header());
    if let ClientIpSource::Header(_) = finder.source() {
        return format!(
            "Set CLIENT_IP_HEADER to a header that the platform sends with every request, instead of {name}"
        );
    }
    let is_other = |other: &&HeaderName| ![&header::FORWARDED, &header::HOST].contains(other);
    let single = headers.keys().filter(is_other).find(|other| is_single_address(headers, other));
    match single {
        Some(other) => format!(
            "Configure the proxy to send {name}. If the platform sets {} on every request, you can set \
             CLIENT_IP_HEADER={0} instead",
            title(other)
        ),
        None => format!("Configure the proxy to send {name}"),
    }
}

fn is_single_address(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut lines = headers.get_all(name).iter();
    lines.next().is_some_and(|line| callers::parse_entry(line.as_bytes()).is_some()) && lines.next().is_none()
}

/// Lists the headers that the api ignores. `None` if it ignores none of them, or if the peer is not trusted, because
/// the headers of such a peer are never read.
fn judge_other_headers(finder: &ClientIpFinder, reason: ClientReason, headers: &HeaderMap) -> Option<Finding> {
    let mut others: Vec<String> = headers.keys().filter(|name| **name != finder.header()).map(title).collect();
    if others.is_empty() || reason == ClientReason::UntrustedPeer {
        return None;
    }
    others.sort();
    let message = format!("The api reads only {}, and ignores {}", title(&finder.header()), others.join(", "));
    Some(Finding::ok(HEADERS, message))
}

/// Describes a malformed entry, in words that continue "the entry is". Anybody can send such an entry, so it is printed
/// in ASCII without control characters.
fn shown_entry(entry: &[u8]) -> String {
    let entry = entry.trim_ascii();
    if entry.is_empty() {
        return "empty".to_owned();
    }
    let cut = if entry.len() > SHOWN_BYTES { "…" } else { "" };
    format!("`{}{cut}`, which is not an IP address", entry[..entry.len().min(SHOWN_BYTES)].escape_ascii())
}

/// The usual spelling of a header name, such as `X-Forwarded-For` or `CF-Connecting-IP`.
fn title(name: &HeaderName) -> String {
    let part = |part: &str| match part {
        "cf" | "ip" => part.to_ascii_uppercase(),
        _ => {
            let (first, rest) = part.split_at(part.len().min(1));
            first.to_ascii_uppercase() + rest
        }
    };
    name.as_str().split('-').map(part).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untrusted_entry_is_escaped_and_shortened() {
        for (entry, shown) in [
            (&b" "[..], "empty"),
            (b"unknown", "`unknown`, which is not an IP address"),
            ("\u{202e}a\tb".as_bytes(), r"`\xe2\x80\xaea\tb`, which is not an IP address"),
        ] {
            assert_eq!(shown_entry(entry), shown);
        }
        assert!(shown_entry(&[b'a'; 50]).starts_with(&format!("`{}…`", "a".repeat(40))));
    }

    #[test]
    fn header_names_get_their_usual_spelling() {
        for name in ["X-Forwarded-For", "CF-Connecting-IP", "Fly-Client-IP", "True-Client-IP", "X-Real-IP", "Forwarded"]
        {
            assert_eq!(title(&name.parse().unwrap()), name);
        }
        assert_eq!(title(&"a--b".parse().unwrap()), "A--B");
    }
}
