//! Finds the client's address: the socket's peer, or the address that a trusted proxy names.
//!
//! A header is trusted only if the peer is in `TRUSTED_PROXIES`. If the header is missing or malformed, the peer counts as the
//! client: all callers of the proxy then share one bucket, and no caller can choose another bucket.

use std::{net::IpAddr, num::NonZeroUsize, sync::Once};

use poem::http::{HeaderMap, HeaderName};

use super::{
    forwarded::{FORWARDED_FOR, entries_from_the_right, only_line, parse_entry},
    trusted_proxies::TrustedProxies,
};

/// Where a trusted proxy names the client.
#[derive(Debug, Clone, Default)]
pub(crate) enum ClientIpSource {
    /// `X-Forwarded-For`, read from the right: the first address that is not a trusted proxy is the client. Entries further to
    /// the left were written by the client and may be forged. poem's `RealIp` trusts such entries.
    #[default]
    ForwardedFor,
    /// `TRUSTED_PROXY_HOPS`: the entry of `X-Forwarded-For` at this position from the right, where 1 is the last entry. This is
    /// for proxies whose own addresses appear in the header and are not known in advance.
    ForwardedForHops(NonZeroUsize),
    /// `CLIENT_IP_HEADER`: a header that contains only the client's address.
    Header(HeaderName),
}

/// Finds the address whose quota a request uses.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClientIpFinder {
    trusted: TrustedProxies,
    source: ClientIpSource,
}

impl ClientIpFinder {
    /// Trusts `source` in requests from `trusted`.
    pub(crate) fn new(trusted: TrustedProxies, source: ClientIpSource) -> Self {
        Self { trusted, source }
    }

    /// The client's address. IPv4-mapped IPv6 addresses (`::ffff:…`) are returned as IPv4.
    pub(crate) fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusted.contains(peer) {
            self.warn_about_untrusted_proxy(peer, headers);
            return peer;
        }
        match &self.source {
            ClientIpSource::ForwardedFor => self.first_untrusted(peer, headers),
            ClientIpSource::ForwardedForHops(hops) => {
                entries_from_the_right(headers).nth(hops.get() - 1).and_then(parse_entry).unwrap_or(peer)
            }
            ClientIpSource::Header(name) => only_line(headers, name).and_then(parse_entry).unwrap_or(peer),
        }
    }

    fn first_untrusted(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        for entry in entries_from_the_right(headers) {
            let Some(address) = parse_entry(entry) else { break };
            client = address;
            if !self.trusted.contains(client) {
                break;
            }
        }
        client
    }

    /// Warns once if a proxy is probably missing from `TRUSTED_PROXIES`: a private peer sends the header in which proxies
    /// name the client. All clients of such a proxy share one bucket.
    fn warn_about_untrusted_proxy(&self, peer: IpAddr, headers: &HeaderMap) {
        static WARNED: Once = Once::new();
        let header = match &self.source {
            ClientIpSource::Header(name) => name,
            ClientIpSource::ForwardedFor | ClientIpSource::ForwardedForHops(_) => &FORWARDED_FOR,
        };
        if is_private(peer) && headers.contains_key(header) {
            WARNED.call_once(|| {
                tracing::warn!(
                    %peer,
                    %header,
                    "ignored a forwarding header from a private address that is not in TRUSTED_PROXIES: \
                     if this is your proxy, add it; otherwise, all of its callers share one rate limit"
                );
            });
        }
    }

    /// Returns the client's address if it may be logged: if it is a trusted proxy, or a peer in a private network. Any other
    /// address may belong to a person.
    pub(super) fn loggable(&self, client: IpAddr, peer: IpAddr) -> Option<IpAddr> {
        let is_proxy = self.trusted.contains(client) || (client == peer.to_canonical() && is_private(client));
        is_proxy.then_some(client)
    }
}

/// Whether an address is private, link-local or loopback.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
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
        finder.client_ip(peer.parse().unwrap(), &headers).to_string()
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
    fn behind_trusted_proxies_the_right_most_untrusted_address_is_the_client() {
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
    fn with_hops_the_entry_at_that_position_from_the_right_is_the_client() {
        for (hops, lines, expected) in [
            (1, &["198.51.100.1"][..], "198.51.100.1"),
            (1, &["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            // The last address is the platform's own, and no setting can list it.
            (2, &["198.51.100.1, 203.0.113.99"], "198.51.100.1"),
            (2, &["6.6.6.6", "198.51.100.1:5555,203.0.113.99"], "198.51.100.1"),
            (2, &["6.6.6.6, 198.51.100.1", "203.0.113.99"], "198.51.100.1"),
            (2, &["[2001:db8::1]:5555, 10.0.0.2"], "2001:db8::1"),
            (2, &["::ffff:198.51.100.1, unknown"], "198.51.100.1"),
            (2, &["198.51.100.1", ""], "198.51.100.1"),
            (2, &["\u{ff}, 198.51.100.1, 203.0.113.99"], "198.51.100.1"),
            (3, &["198.51.100.1, 10.0.0.3, 10.0.0.2"], "198.51.100.1"),
            // A trusted proxy at that position may be a back end that sends its own requests.
            (2, &["198.51.100.1, 10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            let source = ClientIpSource::ForwardedForHops(NonZeroUsize::new(hops).unwrap());
            assert_eq!(find(source, "10.0.0.0/8", "10.0.0.1", &FORWARDED_FOR, lines), expected, "{hops} {lines:?}");
        }
    }

    #[test]
    fn with_too_few_entries_or_no_address_at_that_position_the_peer_is_the_client() {
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
    fn a_named_header_is_one_line_with_one_address_from_a_trusted_proxy() {
        let name = HeaderName::from_static("fly-client-ip");
        for (lines, expected) in [
            (&["198.51.100.1"][..], "198.51.100.1"),
            (&["198.51.100.1:5555"], "198.51.100.1"),
            (&["::ffff:198.51.100.1"], "198.51.100.1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["[2001:db8::1]:5555"], "2001:db8::1"),
            // A proxy may name another trusted address: a back end that sends its own requests.
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
    fn only_addresses_of_proxies_and_private_peers_may_be_logged() {
        let finder = ClientIpFinder::new("10.0.0.0/8, 203.0.113.99".parse().unwrap(), ClientIpSource::default());
        for (client, peer, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("203.0.113.99", "10.0.0.1", true),
            ("192.168.0.1", "192.168.0.1", true),
            ("fd00::1", "fd00::1", true),
            ("192.168.0.1", "10.0.0.1", false),
            ("203.0.113.7", "203.0.113.7", false),
            ("203.0.113.7", "10.0.0.1", false),
        ] {
            let (client, peer): (IpAddr, IpAddr) = (client.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(finder.loggable(client, peer), expected.then_some(client), "{client} {peer}");
        }
    }
}
