//! Forwarding headers: a client cannot choose the address that its requests are counted against.

use std::{net::IpAddr, num::NonZeroUsize};

use callers::{ClientIpFinder, ClientIpSource, FORWARDED_FOR};
use poem::http::{HeaderMap, HeaderName, HeaderValue};

const NAMED_HEADER: HeaderName = HeaderName::from_static("fly-client-ip");
const TRUSTED: &str = "10.0.0.0/8, fd00::/8, 192.0.2.7";

/// Each case consists of the peer, the text that our proxies append to the client's header, and the client that must be
/// found.
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

/// Cases for `TRUSTED_PROXY_HOPS`, for platforms that append their own address. Each case consists of the number of
/// hops, the peer, the appended text and the client.
const APPENDED_BY_HOPS: [(usize, &str, &str, &str); 8] = [
    (1, "10.0.0.1", "203.0.113.7", "203.0.113.7"),
    (2, "10.0.0.1", "203.0.113.7, 198.51.100.99", "203.0.113.7"),
    (2, "fd00::1", "[2001:db8::7]:5555,10.0.0.2", "2001:db8::7"),
    (3, "::ffff:10.0.0.1", "::ffff:203.0.113.7, unknown, 198.51.100.99", "203.0.113.7"),
    (2, "10.0.0.1", "unknown, 198.51.100.99", "10.0.0.1"),
    (2, "10.0.0.1", ", 198.51.100.99", "10.0.0.1"),
    (1, "203.0.113.9", "198.51.100.1", "203.0.113.9"),
    (2, "127.0.0.1", "203.0.113.7, 10.0.0.2", "127.0.0.1"),
];

/// Reads the input in three ways: as headers of an untrusted client (one per line) to which our proxies append, as
/// headers of the proxies themselves, and as the value of `TRUSTED_PROXIES`. Returns whether the client found in the
/// proxies' headers is not a proxy itself.
pub fn client_ip(input: &[u8]) -> bool {
    // Leave out lines that are not valid header values: hyper rejects requests with such headers.
    let sent: Vec<&[u8]> =
        input.split(|&byte| byte == b'\n').filter(|line| HeaderValue::from_bytes(line).is_ok()).collect();
    let finder = finder(TRUSTED, ClientIpSource::ForwardedFor);
    for (peer, appended, client) in APPENDED_BY_PROXIES {
        for lines in with_appended(&sent, appended) {
            assert_eq!(client_of(&finder, peer, &lines), address(client), "{sent:?}, then {appended}: {lines:?}");
        }
    }
    assert_hops_cannot_be_forged(&sent);
    assert_named_header_is_one_address(&sent);
    assert_setting_does_not_trust_everybody(input);
    assert_entries_to_the_left_change_nothing(&finder, &sent)
}

/// Returns variants of the client's lines: with the proxies' text on a separate line, and with it appended to the
/// client's last line.
fn with_appended(sent: &[&[u8]], appended: &str) -> Vec<Vec<Vec<u8>>> {
    let sent: Vec<Vec<u8>> = sent.iter().map(|line| line.to_vec()).collect();
    let own_line = [sent.as_slice(), &[appended.as_bytes().to_vec()]].concat();
    let same_line = |comma: &str| {
        let mut lines = sent.clone();
        let last = lines.last_mut()?;
        last.extend_from_slice(comma.as_bytes());
        last.extend_from_slice(appended.as_bytes());
        Some(lines)
    };
    [Some(own_line), same_line(", "), same_line(",")].into_iter().flatten().collect()
}

fn assert_hops_cannot_be_forged(sent: &[&[u8]]) {
    for (hops, peer, appended, client) in APPENDED_BY_HOPS {
        let finder = finder(TRUSTED, with_hops(hops));
        for lines in with_appended(sent, appended) {
            assert_eq!(client_of(&finder, peer, &lines), address(client), "{sent:?}, then {appended}: {lines:?}");
        }
    }
    let entries: usize = sent.iter().map(|line| line.split(|&byte| byte == b',').count()).sum();
    let finder = finder(TRUSTED, with_hops(entries + 1));
    assert_eq!(client_of(&finder, "10.0.0.1", sent), address("10.0.0.1"), "{sent:?} has fewer entries than hops");
}

/// `CLIENT_IP_HEADER` is used only if it is a single line with a single address.
fn assert_named_header_is_one_address(lines: &[&[u8]]) {
    let finder = finder(TRUSTED, ClientIpSource::Header(NAMED_HEADER));
    let client_of = |peer| finder.find(address(peer), &headers(&NAMED_HEADER, lines)).address;
    assert_eq!(client_of("203.0.113.9"), address("203.0.113.9"), "{lines:?} from an untrusted peer");
    let client = client_of("10.0.0.1");
    let only = if let [only] = lines { str::from_utf8(only).unwrap_or_default().trim_ascii() } else { "" };
    if only.is_empty() || only.contains([',', ' ', '\t', '"', '/']) {
        assert_eq!(client, address("10.0.0.1"), "{lines:?} is not one address");
    }
    if let Ok(address) = only.parse::<IpAddr>()
        && !address.to_canonical().is_unspecified()
    {
        assert_eq!(client, address.to_canonical(), "{lines:?}");
    }
    assert!(client == client.to_canonical() && !client.is_unspecified(), "{lines:?}");
}

/// If the client found is not a proxy, further entries to its left do not change the result.
fn assert_entries_to_the_left_change_nothing(finder: &ClientIpFinder, lines: &[&[u8]]) -> bool {
    let client = client_of(finder, "10.0.0.1", lines);
    assert_eq!(client, client.to_canonical(), "an IPv4-mapped address would have its own bucket");
    assert!(!client.is_unspecified(), "{lines:?}");
    let alone = client_of(finder, &client.to_string(), &[b"198.51.100.1"]);
    if alone != client {
        // The address is one of our proxies.
        return false;
    }
    for entry in [&b"198.51.100.1"[..], b"10.0.0.3", b"unknown", b",", b"\xff"] {
        let more: Vec<&[u8]> = [entry].into_iter().chain(lines.iter().copied()).collect();
        assert_eq!(client_of(finder, "10.0.0.1", &more), client, "{more:?}");
    }
    true
}

fn assert_setting_does_not_trust_everybody(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(trusted) = text.parse() else { return };
    let finder = ClientIpFinder::new(trusted, ClientIpSource::ForwardedFor);
    let networks = text.split(',').filter(|entry| !entry.trim().is_empty()).count();
    if networks == 1 {
        // One address from each half of the address space: a single network that contains both addresses contains every
        // address.
        for halves in [["1.2.3.4", "203.0.113.9"], ["2001:db8::9", "fd00::9"]] {
            let trusts = |peer| client_of(&finder, peer, &[b"198.51.100.1"]) != address(peer);
            assert!(!halves.into_iter().all(trusts), "{text:?} trusts everybody");
        }
    }
}

fn with_hops(hops: usize) -> ClientIpSource {
    ClientIpSource::ForwardedForHops(NonZeroUsize::new(hops).expect("at least one hop"))
}

fn finder(trusted: &str, source: ClientIpSource) -> ClientIpFinder {
    ClientIpFinder::new(trusted.parse().expect("networks"), source)
}

fn client_of(finder: &ClientIpFinder, peer: &str, lines: &[impl AsRef<[u8]>]) -> IpAddr {
    finder.find(address(peer), &headers(&FORWARDED_FOR, lines)).address
}

fn headers(name: &HeaderName, lines: &[impl AsRef<[u8]>]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line.as_ref()).expect("valid header bytes"));
    }
    headers
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
