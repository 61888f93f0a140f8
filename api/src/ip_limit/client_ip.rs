//! Finds the client's address: the socket's peer, or the address in `X-Forwarded-For` if the peer is a trusted proxy.
//!
//! The header is read from the right, and the first address that is not a trusted proxy is the client. Entries further
//! left were written by the client and may be forged; poem's `RealIp` believes them.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Once,
};

use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// `TRUSTED_PROXIES`: networks whose `X-Forwarded-For` is believed.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// The client's address. IPv4-mapped IPv6 addresses (`::ffff:…`) are returned as IPv4.
    pub(crate) fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            warn_about_untrusted_proxy(client, headers);
            return client;
        }
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        // Split the bytes of each line into entries. If a line were decoded as a whole, one invalid byte from the
        // client would hide what a proxy appended to that line, and the client would be taken for the proxy.
        let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
        for entry in entries {
            let Some(address) = parse_entry(entry) else { break };
            client = address;
            if !self.contains(client) {
                break;
            }
        }
        client
    }

    fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// Parses an address with or without a port. IPv6 may have brackets and a zone.
fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?.trim_ascii();
    let without_zone = |text: &str| text.split('%').next().and_then(|ip| ip.parse::<IpAddr>().ok());
    let ip = match entry.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            let is_port_valid =
                port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
            without_zone(ip).filter(|ip| ip.is_ipv6() && is_port_valid)
        }
        None => without_zone(entry).or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    ip.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified())
}

/// Warns once about what is probably a proxy missing from `TRUSTED_PROXIES`: a private peer that sends
/// `X-Forwarded-For`. All clients of such a proxy share one bucket.
fn warn_about_untrusted_proxy(peer: IpAddr, headers: &HeaderMap) {
    static WARNED: Once = Once::new();
    let is_private = match peer {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    };
    if is_private && headers.contains_key(FORWARDED_FOR) {
        WARNED.call_once(|| {
            tracing::warn!(
                %peer,
                "X-Forwarded-For from a private address that is not in TRUSTED_PROXIES is ignored: \
                 if this is your proxy, list it, or all its callers share one rate limit"
            );
        });
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(parse_network).collect::<Result<_, _>>().map(Self)
    }
}

/// Parses a network or a single address from the settings. The network must not contain all addresses.
pub(crate) fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text.parse().map_err(|_| format!("`{text}` is not a network like 10.0.0.0/8"))?,
    };
    if network.prefix_len() == 0 {
        return Err(format!("`{text}` is the whole world: name the proxies' own networks"));
    }
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err(format!("write `{text}` as IPv4")),
        _ => Ok(network.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let trusted: TrustedProxies = trusted.parse().unwrap();
        trusted.client_ip(peer.parse().unwrap(), &headers).to_string()
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
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("fd00::1", &["198.51.100.1"], "198.51.100.1"),
            // The client sent a byte that is not ASCII, and a proxy appended to the same line.
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
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        ] {
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_setting_that_trusts_everybody_or_is_malformed_is_rejected() {
        for text in [
            "0.0.0.0/0",
            "::/0",
            "10.0.0.0/8,::/0",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/8;10.1.0.0/16",
            "::ffff:10.0.0.0/104",
        ] {
            assert!(text.parse::<TrustedProxies>().is_err(), "{text}");
        }
    }
}
