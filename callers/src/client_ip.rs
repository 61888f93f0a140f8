//! Finds the client's address: the socket's peer, or the address that a trusted proxy reports.
//!
//! A header is trusted only if the peer is in `TRUSTED_PROXIES`. If the header is missing or malformed, the peer counts
//! as the client: all callers of the proxy then share one rate limit, and no caller can choose another one.

use std::{net::IpAddr, num::NonZeroUsize};

use http::{HeaderMap, HeaderName};

use super::{
    forwarded::{FORWARDED_FOR, entries_from_the_right, only_line, parse_entry},
    trusted_proxies::TrustedProxies,
};

/// Where a trusted proxy puts the client's address.
#[derive(Debug, Clone, Default)]
pub enum ClientIpSource {
    /// `X-Forwarded-For`, read from the right: the first address that is not a trusted proxy is the client. Entries
    /// further to the left come from the client and may be forged. poem's `RealIp` trusts such entries.
    #[default]
    ForwardedFor,
    /// `TRUSTED_PROXY_HOPS`: the entry of `X-Forwarded-For` at this position from the right, where 1 is the last entry.
    /// This is for proxies whose own addresses appear in the header and are not known in advance.
    ForwardedForHops(NonZeroUsize),
    /// `CLIENT_IP_HEADER`: a header that contains only the client's address.
    Header(HeaderName),
}

/// The client of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundClient {
    /// The client's address. IPv4-mapped IPv6 addresses (`::ffff:…`) are returned as IPv4.
    pub address: IpAddr,
    /// Why this address counts as the client's.
    pub reason: ClientReason,
}

/// Why an address counts as the client's. Positions in `X-Forwarded-For` are counted from the right, starting at 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientReason {
    /// The peer is not in `TRUSTED_PROXIES`. The peer's address is used, and its headers are ignored.
    UntrustedPeer,
    /// The peer is a trusted proxy, but did not send the header with the client's address. The peer's address is used.
    HeaderMissing,
    /// The address comes from the entry of `X-Forwarded-For` at `position`. Without `TRUSTED_PROXY_HOPS`, this is the
    /// first entry that is not a trusted proxy.
    Entry {
        /// The position of the entry.
        position: usize,
    },
    /// The entry of `X-Forwarded-For` at `position` is not an address. The address in the entry to its right is used,
    /// or the peer's address if there is no such entry. With `TRUSTED_PROXY_HOPS`, the peer's address is always used.
    EntryMalformed {
        /// The position of the malformed entry.
        position: usize,
    },
    /// All entries of `X-Forwarded-For` are trusted proxies. The leftmost address is used.
    OnlyProxies,
    /// `X-Forwarded-For` has fewer entries than `TRUSTED_PROXY_HOPS` requires. The peer's address is used.
    TooFewEntries {
        /// The number of entries.
        entries: usize,
    },
    /// The address comes from the header named by `CLIENT_IP_HEADER`.
    HeaderAddress,
    /// The header named by `CLIENT_IP_HEADER` occurs more than once. The peer's address is used.
    HeaderRepeated,
    /// The header named by `CLIENT_IP_HEADER` does not contain exactly one address. The peer's address is used.
    HeaderMalformed,
}

/// Finds the address whose quota a request uses.
#[derive(Debug, Clone, Default)]
pub struct ClientIpFinder {
    trusted: TrustedProxies,
    source: ClientIpSource,
}

impl ClientIpFinder {
    /// Creates a finder that trusts `source` in requests from `trusted`.
    #[must_use]
    pub fn new(trusted: TrustedProxies, source: ClientIpSource) -> Self {
        Self { trusted, source }
    }

    /// Returns the client's address and the reason for this choice.
    #[must_use]
    pub fn find(&self, peer: IpAddr, headers: &HeaderMap) -> FoundClient {
        let peer = peer.to_canonical();
        if !self.trusted.contains(peer) {
            return FoundClient { address: peer, reason: ClientReason::UntrustedPeer };
        }
        let named = match &self.source {
            ClientIpSource::ForwardedFor => return self.first_untrusted(peer, headers),
            ClientIpSource::ForwardedForHops(hops) => at_position(hops.get(), headers),
            ClientIpSource::Header(name) => in_header(name, headers),
        };
        named.unwrap_or_else(|reason| FoundClient { address: peer, reason })
    }

    fn first_untrusted(&self, peer: IpAddr, headers: &HeaderMap) -> FoundClient {
        let mut found = FoundClient { address: peer, reason: ClientReason::HeaderMissing };
        for (position, entry) in (1..).zip(entries_from_the_right(headers)) {
            let Some(address) = parse_entry(entry) else {
                return FoundClient { reason: ClientReason::EntryMalformed { position }, ..found };
            };
            if !self.trusted.contains(address) {
                return FoundClient { address, reason: ClientReason::Entry { position } };
            }
            found = FoundClient { address, reason: ClientReason::OnlyProxies };
        }
        found
    }

    /// Whether a proxy with this address is trusted.
    #[must_use]
    pub fn trusts(&self, ip: IpAddr) -> bool {
        self.trusted.contains(ip)
    }

    /// Whether any proxy is trusted.
    #[must_use]
    pub fn trusts_any(&self) -> bool {
        !self.trusted.is_empty()
    }

    /// Where a trusted proxy puts the client's address.
    #[must_use]
    pub fn source(&self) -> &ClientIpSource {
        &self.source
    }

    /// The header in which a trusted proxy puts the client's address.
    #[must_use]
    pub fn header(&self) -> HeaderName {
        match &self.source {
            ClientIpSource::Header(name) => name.clone(),
            ClientIpSource::ForwardedFor | ClientIpSource::ForwardedForHops(_) => FORWARDED_FOR,
        }
    }
}

/// Returns the address in the entry of `X-Forwarded-For` at `position`, counted from the right.
///
/// # Errors
/// The reason why the entry cannot be used.
fn at_position(position: usize, headers: &HeaderMap) -> Result<FoundClient, ClientReason> {
    let Some(entry) = entries_from_the_right(headers).nth(position - 1) else {
        let entries = entries_from_the_right(headers).count();
        return Err(match entries {
            0 => ClientReason::HeaderMissing,
            entries => ClientReason::TooFewEntries { entries },
        });
    };
    let address = parse_entry(entry).ok_or(ClientReason::EntryMalformed { position })?;
    Ok(FoundClient { address, reason: ClientReason::Entry { position } })
}

/// Returns the address in a header that contains nothing else.
///
/// # Errors
/// The reason why the header cannot be used.
fn in_header(name: &HeaderName, headers: &HeaderMap) -> Result<FoundClient, ClientReason> {
    if !headers.contains_key(name) {
        return Err(ClientReason::HeaderMissing);
    }
    let line = only_line(headers, name).ok_or(ClientReason::HeaderRepeated)?;
    let address = parse_entry(line).ok_or(ClientReason::HeaderMalformed)?;
    Ok(FoundClient { address, reason: ClientReason::HeaderAddress })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(source: ClientIpSource, trusted: &str, peer: &str, header: &HeaderName, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header, line.parse().unwrap());
        }
        let finder = ClientIpFinder::new(trusted.parse().unwrap(), source);
        finder.find(peer.parse().unwrap(), &headers).address.to_string()
    }

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        find(ClientIpSource::ForwardedFor, trusted, peer, &FORWARDED_FOR, lines)
    }

    #[test]
    fn a_peer_that_is_not_a_trusted_proxy_is_the_client() {
        for trusted in ["", "10.0.0.0/8, fd00::/8"] {
            assert_eq!(client(trusted, "203.0.113.7", &["198.51.100.1"]), "203.0.113.7");
            assert_eq!(client(trusted, "127.0.0.1", &["198.51.100.1"]), "127.0.0.1");
            assert_eq!(client(trusted, "::ffff:203.0.113.7", &[]), "203.0.113.7");
        }
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_untrusted_address_is_the_client() {
        for (peer, lines, expected) in [
            ("10.0.0.1", &["198.51.100.1"][..], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["6.6.6.6,198.51.100.1 ,10.0.0.2 "], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1:5555"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:5555"], "2001:db8::1"),
            ("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["fe80::1%eth0"], "fe80::1"),
            ("10.0.0.1", &["[fe80::1%en-0.1]:80"], "fe80::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("fd00::1", &["198.51.100.1"], "198.51.100.1"),
            // The client sent a byte that is not ASCII, and a proxy appended an address to the same line.
            ("10.0.0.1", &["\u{ff}, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ] {
            assert_eq!(client("10.0.0.0/8,fd00::/8", peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn an_invalid_entry_ends_the_search_at_the_last_valid_address() {
        for (lines, expected) in [
            (&[][..], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["unknown"], "10.0.0.1"),
            (&["198.51.100.1, unknown"], "10.0.0.1"),
            (&["198.51.100.1, , 10.0.0.2"], "10.0.0.2"),
            (&["198.51.100.1", "_hidden, 10.0.0.3"], "10.0.0.3"),
            (&["198.51.100.1, 0.0.0.0"], "10.0.0.1"),
            (&["198.51.100.1, ::"], "10.0.0.1"),
            (&["198.51.100.1, 10.0.0.2:port"], "10.0.0.1"),
            (&["198.51.100.1, [::1]x"], "10.0.0.1"),
            (&["198.51.100.1%eth0"], "10.0.0.1"),
            (&["fe80::1%"], "10.0.0.1"),
            (&["fe80::1%eth0 198.51.100.1"], "10.0.0.1"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn with_hops_the_entry_at_the_configured_position_from_the_right_is_the_client() {
        for (hops, lines, expected) in [
            (1, &["198.51.100.1"][..], "198.51.100.1"),
            (1, &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            // The last address belongs to the platform, and is not known in advance.
            (2, &["198.51.100.1, 203.0.113.99"], "198.51.100.1"),
            (2, &["6.6.6.6", "198.51.100.1:5555,203.0.113.99"], "198.51.100.1"),
            (2, &["6.6.6.6, 198.51.100.1", "203.0.113.99"], "198.51.100.1"),
            (2, &["[2001:db8::1]:5555, 10.0.0.2"], "2001:db8::1"),
            (2, &["::ffff:198.51.100.1, unknown"], "198.51.100.1"),
            (2, &["198.51.100.1", ""], "198.51.100.1"),
            (2, &["\u{ff}, 198.51.100.1, 203.0.113.99"], "198.51.100.1"),
            (3, &["198.51.100.1, 10.0.0.3, 10.0.0.2"], "198.51.100.1"),
            // Even a trusted address at the position is the client: a trusted back end can send its own requests.
            (2, &["198.51.100.1, 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let source = ClientIpSource::ForwardedForHops(NonZeroUsize::new(hops).unwrap());
            assert_eq!(find(source, "10.0.0.0/8", "10.0.0.1", &FORWARDED_FOR, lines), expected, "{hops} {lines:?}");
        }
    }

    #[test]
    fn if_the_entry_at_the_configured_position_is_missing_or_malformed_the_peer_is_the_client() {
        for (hops, lines) in [
            (1, &[][..]),
            (1, &[""]),
            (2, &["198.51.100.1"]),
            (3, &["198.51.100.1, 203.0.113.99"]),
            (1, &["198.51.100.1, unknown"]),
            (1, &["198.51.100.1, 0.0.0.0"]),
            (2, &["198.51.100.1, , 203.0.113.99"]),
            (2, &["6.6.6.6", "198.51.100.1 10.0.0.3, 203.0.113.99"]),
        ] {
            let source = ClientIpSource::ForwardedForHops(NonZeroUsize::new(hops).unwrap());
            let find = |peer| find(source.clone(), "10.0.0.0/8", peer, &FORWARDED_FOR, lines);
            assert_eq!(find("10.0.0.1"), "10.0.0.1", "{hops} {lines:?}");
            assert_eq!(find("::ffff:10.0.0.1"), "10.0.0.1", "{hops} {lines:?}");
            assert_eq!(find("203.0.113.7"), "203.0.113.7", "{hops} {lines:?}");
        }
    }

    #[test]
    fn client_ip_header_must_be_one_line_with_one_address_from_a_trusted_proxy() {
        let name = HeaderName::from_static("fly-client-ip");
        for (lines, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["198.51.100.1:5555"], "198.51.100.1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:5555"], "2001:db8::1"),
            // Even a trusted address in the header is the client: a trusted back end can send its own requests.
            (&["10.0.0.3"], "10.0.0.3"),
            (&[], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["unknown"], "10.0.0.1"),
            (&["0.0.0.0"], "10.0.0.1"),
            (&["198.51.100.1, 198.51.100.2"], "10.0.0.1"),
            (&["198.51.100.1,"], "10.0.0.1"),
            (&["198.51.100.1 198.51.100.2"], "10.0.0.1"),
            (&["198.51.100.1", "198.51.100.2"], "10.0.0.1"),
            (&["198.51.100.1", "198.51.100.1"], "10.0.0.1"),
            (&["198.51.100.1", ""], "10.0.0.1"),
            (&["\"198.51.100.1\""], "10.0.0.1"),
            (&["198.51.100.0/24"], "10.0.0.1"),
            (&["fe80::1%eth0,198.51.100.1"], "10.0.0.1"),
            (&["\u{ff}"], "10.0.0.1"),
        ] {
            let find = |peer| find(ClientIpSource::Header(name.clone()), "10.0.0.0/8", peer, &name, lines);
            assert_eq!(find("10.0.0.1"), expected, "{lines:?}");
            assert_eq!(find("203.0.113.7"), "203.0.113.7", "{lines:?}");
        }
        let source = ClientIpSource::Header(name);
        assert_eq!(find(source, "10.0.0.0/8", "10.0.0.1", &FORWARDED_FOR, &["198.51.100.1"]), "10.0.0.1");
    }

    #[test]
    fn the_reason_gives_the_entry_or_explains_why_the_peer_is_used() {
        use ClientReason::*;
        let hops = |hops| ClientIpSource::ForwardedForHops(NonZeroUsize::new(hops).unwrap());
        let named = || ClientIpSource::Header(HeaderName::from_static("fly-client-ip"));
        for (source, peer, lines, reason) in [
            (ClientIpSource::ForwardedFor, "203.0.113.7", &["198.51.100.1"][..], UntrustedPeer),
            (ClientIpSource::ForwardedFor, "10.0.0.1", &[], HeaderMissing),
            (ClientIpSource::ForwardedFor, "10.0.0.1", &[""], EntryMalformed { position: 1 }),
            (ClientIpSource::ForwardedFor, "10.0.0.1", &["198.51.100.1"], Entry { position: 1 }),
            (ClientIpSource::ForwardedFor, "10.0.0.1", &["198.51.100.1", "10.0.0.3, 10.0.0.2"], Entry { position: 3 }),
            (ClientIpSource::ForwardedFor, "10.0.0.1", &["unknown, 10.0.0.2"], EntryMalformed { position: 2 }),
            (ClientIpSource::ForwardedFor, "10.0.0.1", &["10.0.0.3, 10.0.0.2"], OnlyProxies),
            (hops(2), "203.0.113.7", &["198.51.100.1, 10.0.0.2"], UntrustedPeer),
            (hops(2), "10.0.0.1", &["198.51.100.1, 10.0.0.2"], Entry { position: 2 }),
            (hops(2), "10.0.0.1", &["unknown, 10.0.0.2"], EntryMalformed { position: 2 }),
            (hops(2), "10.0.0.1", &["198.51.100.1"], TooFewEntries { entries: 1 }),
            (hops(2), "10.0.0.1", &[], HeaderMissing),
            (named(), "203.0.113.7", &["198.51.100.1"], UntrustedPeer),
            (named(), "10.0.0.1", &["198.51.100.1"], HeaderAddress),
            (named(), "10.0.0.1", &["198.51.100.1, 10.0.0.2"], HeaderMalformed),
            (named(), "10.0.0.1", &["198.51.100.1", "198.51.100.1"], HeaderRepeated),
            (named(), "10.0.0.1", &[], HeaderMissing),
        ] {
            let finder = ClientIpFinder::new("10.0.0.0/8".parse().unwrap(), source);
            let line = |line: &&str| (finder.header(), line.parse().unwrap());
            let headers: HeaderMap = lines.iter().map(line).collect();
            assert_eq!(finder.find(peer.parse().unwrap(), &headers).reason, reason, "{:?} {lines:?}", finder.source());
        }
    }
}
