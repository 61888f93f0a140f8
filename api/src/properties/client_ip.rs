//! `X-Forwarded-For`: the client is never one that the untrusted side chose.

use std::net::IpAddr;

use poem::http::{HeaderMap, HeaderName, HeaderValue};

use crate::ip_limit::client_ip::TrustedProxies;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRUSTED: &str = "10.0.0.0/8, fd00::/8, 192.0.2.7";

/// What our own proxies wrote behind the caller's claim, and whom that makes the client: peer, appended, client.
const WRITTEN_BY_PROXIES: [(&str, &str, &str); 12] = [
    ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
    ("10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7"),
    ("10.0.0.1", "203.0.113.7:443,192.0.2.7,10.0.0.2", "203.0.113.7"),
    ("::ffff:10.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"),
    ("fd00::1", "2001:db8::7", "2001:db8::7"),
    ("fd00::1", "[2001:db8::7]:5555, fd00::2", "2001:db8::7"),
    ("192.0.2.7", "fe80::7%eth0", "fe80::7"),
    // A caller whom the proxy could not tell: the proxy itself answers for it.
    ("10.0.0.1", "unknown", "10.0.0.1"),
    ("10.0.0.1", "_hidden, 10.0.0.2", "10.0.0.2"),
    // A peer that is no proxy of ours may write what it likes.
    ("203.0.113.9", "10.0.0.2", "203.0.113.9"),
    ("::ffff:203.0.113.9", "198.51.100.1", "203.0.113.9"),
    ("127.0.0.1", "198.51.100.1", "127.0.0.1"),
];

/// Reads the input as what a stranger sends before our proxies add theirs, a line a header; as what the proxies
/// themselves sent; and as the setting. Tells whether the client was one of those that the input names.
pub fn client_ip(input: &[u8]) -> bool {
    let trusted: TrustedProxies = TRUSTED.parse().expect("networks");
    // Others no server lets in.
    let claimed: Vec<&[u8]> =
        input.split(|&byte| byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    for (peer, written, client) in WRITTEN_BY_PROXIES {
        let (peer, client): (IpAddr, IpAddr) = (address(peer), address(client));
        let mut own_line = claimed.clone();
        own_line.push(written.as_bytes());
        assert_eq!(client_of(&trusted, peer, &own_line), client, "{claimed:?}, then {written} on its own line");
        for comma in [", ", ","] {
            let last = claimed.last().map(|line| [line, comma.as_bytes(), written.as_bytes()].concat());
            let mut same_line = claimed.clone();
            if let Some(last) = &last {
                same_line.pop();
                same_line.push(last);
                assert_eq!(client_of(&trusted, peer, &same_line), client, "{claimed:?}, then {written} behind it");
            }
        }
    }
    assert_setting_is_sound(input);
    assert_claims_change_nothing(&trusted, &claimed)
}

/// Whoever was found outside the proxies stays the client, whatever stands to the left.
fn assert_claims_change_nothing(trusted: &TrustedProxies, lines: &[&[u8]]) -> bool {
    let peer = address("10.0.0.1");
    let client = client_of(trusted, peer, lines);
    assert_eq!(client, client.to_canonical(), "an IPv4 address in IPv6 has another bucket");
    assert!(!client.is_unspecified(), "{lines:?}");
    let alone = client_of(trusted, client, &[b"198.51.100.1"]);
    if alone != client {
        // It is a proxy of ours.
        return false;
    }
    for claim in [&b"198.51.100.1"[..], b"10.0.0.3", b"unknown", b",", b"\xff"] {
        let more: Vec<&[u8]> = [claim].into_iter().chain(lines.iter().copied()).collect();
        assert_eq!(client_of(trusted, peer, &more), client, "{more:?}");
    }
    true
}

fn assert_setting_is_sound(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(trusted) = text.parse::<TrustedProxies>() else { return };
    let networks = text.split(',').filter(|entry| !entry.trim().is_empty()).count();
    if networks == 1 {
        // The two halves of each family: one network that holds both is the whole world.
        for halves in [["1.2.3.4", "203.0.113.9"], ["2001:db8::9", "fd00::9"]] {
            let trusts = |peer| client_of(&trusted, address(peer), &[b"198.51.100.1"]) != address(peer);
            assert!(!halves.into_iter().all(trusts), "{text:?} trusts everybody");
        }
    }
}

fn client_of(trusted: &TrustedProxies, peer: IpAddr, lines: &[&[u8]]) -> IpAddr {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line).expect("bytes that a header may hold"));
    }
    trusted.client_ip(peer, &headers)
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
