//! `X-Forwarded-For`: a client cannot choose the address that it is counted under.

use std::net::IpAddr;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use crate::ip_limit::client_ip::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRUSTED: &str = "10.0.0.0/8, fd00::/8, 192.0.2.7";

/// What our proxies append to the client's header, and the client that must be found: peer, appended text, client.
const APPENDED_BY_PROXIES: [(&str, &str, &str); 12] = [
    ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
    ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
    ("10.0.0.1", "203.0.113.7:443,192.0.2.7,10.0.0.2", "203.0.113.7"),
    ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
    ("fd00::1", "2001:db8::7", "2001:db8::7"),
    ("fd00::1", "[2001:db8::7]:5555, fd00::2", "2001:db8::7"),
    ("192.0.2.7", "fe80::7%eth0", "fe80::7"),
    // The proxy did not know the client's address, so the proxy itself counts as the client.
    ("10.0.0.1", "unknown", "10.0.0.1"),
    ("10.0.0.1", "_hidden, 10.0.0.2", "10.0.0.2"),
    // The peer is not a trusted proxy, so its header is ignored.
    ("203.0.113.9", "10.0.0.2", "203.0.113.9"),
    ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ("127.0.0.1", "198.51.100.1", "127.0.0.1"),
];

/// Reads the input as headers from an untrusted client (one per line) to which our proxies append, as headers from the
/// proxies themselves, and as the setting `TRUSTED_PROXIES`. Returns whether the input names a client that is not a
/// proxy.
pub fn client_ip(input: &[u8]) -> bool {
    let trusted: TrustedProxies = TRUSTED.parse().expect("networks");
    // hyper rejects requests with other bytes in a header.
    let sent: Vec<&[u8]> =
        input.split(|&byte| byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    for (peer, appended, client) in APPENDED_BY_PROXIES {
        let (peer, client): (IpAddr, IpAddr) = (address(peer), address(client));
        let mut own_line = sent.clone();
        own_line.push(appended.as_bytes());
        assert_eq!(client_of(&trusted, peer, &own_line), client, "{sent:?}, then {appended} on its own line");
        for comma in [", ", ","] {
            let last = sent.last().map(|line| [line, comma.as_bytes(), appended.as_bytes()].concat());
            let mut same_line = sent.clone();
            if let Some(last) = &last {
                same_line.pop();
                same_line.push(last);
                assert_eq!(client_of(&trusted, peer, &same_line), client, "{sent:?}, then {appended} on the same line");
            }
        }
    }
    assert_setting_trusts_not_everybody(input);
    assert_entries_to_the_left_change_nothing(&trusted, &sent)
}

/// If the client found is not a proxy, further entries to its left do not change the result.
fn assert_entries_to_the_left_change_nothing(trusted: &TrustedProxies, lines: &[&[u8]]) -> bool {
    let peer = address("10.0.0.1");
    let client = client_of(trusted, peer, lines);
    assert_eq!(client, client.to_canonical(), "an IPv4-mapped address would have its own bucket");
    assert!(!client.is_unspecified(), "{lines:?}");
    let alone = client_of(trusted, client, &[b"198.51.100.1"]);
    if alone != client {
        // The address is one of our proxies.
        return false;
    }
    for entry in [&b"198.51.100.1"[..], b"10.0.0.3", b"unknown", b",", b"\xff"] {
        let more: Vec<&[u8]> = [entry].into_iter().chain(lines.iter().copied()).collect();
        assert_eq!(client_of(trusted, peer, &more), client, "{more:?}");
    }
    true
}

fn assert_setting_trusts_not_everybody(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(trusted) = text.parse::<TrustedProxies>() else { return };
    let networks = text.split(',').filter(|entry| !entry.trim().is_empty()).count();
    if networks == 1 {
        // One address from each half of the address space: a single network with both contains every address.
        for halves in [["1.2.3.4", "203.0.113.9"], ["2001:db8::9", "fd00::9"]] {
            let trusts = |peer| client_of(&trusted, address(peer), &[b"198.51.100.1"]) != address(peer);
            assert!(!halves.into_iter().all(trusts), "{text:?} trusts everybody");
        }
    }
}

fn client_of(trusted: &TrustedProxies, peer: IpAddr, lines: &[&[u8]]) -> IpAddr {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).expect("valid header bytes"));
    }
    trusted.client_ip(peer, &headers)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
