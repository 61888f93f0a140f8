//! The networks that rate limits apply to, and the check for private addresses.

use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The network of one client: an IPv4 address, or an IPv6 /64.
pub const CLIENT: PrefixLength = PrefixLength { v4: 32, v6: 64 };

/// How many leading bits of an address identify its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixLength {
    /// Number of leading bits of an IPv4 address, 0 to 32.
    pub v4: u8,
    /// Number of leading bits of an IPv6 address, 0 to 128.
    pub v6: u8,
}

impl PrefixLength {
    /// The network that contains the address.
    ///
    /// # Panics
    /// Panics if the prefix is longer than the address.
    #[must_use]
    pub fn network(self, ip: IpAddr) -> IpNet {
        match ip {
            IpAddr::V4(ip) => Ipv4Net::new_assert(ip, self.v4).trunc().into(),
            IpAddr::V6(ip) => Ipv6Net::new_assert(ip, self.v6).trunc().into(),
        }
    }
}

/// A client's network in the form that the rate limits use: `203.0.113.7`, or `2001:db8:1:2::/64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientNetwork(pub String);

impl From<IpAddr> for ClientNetwork {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self(ip.to_string()),
            IpAddr::V6(_) => Self(CLIENT.network(ip).to_string()),
        }
    }
}

impl Display for ClientNetwork {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an address is private, link-local or loopback.
#[must_use]
pub fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        for (address, network) in
            [("203.0.113.7", "203.0.113.7"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::1", "::/64")]
        {
            assert_eq!(ClientNetwork::from(address.parse::<IpAddr>().unwrap()).to_string(), network);
        }
    }

    #[test]
    fn private_link_local_and_loopback_addresses_are_private() {
        for (address, expected) in [
            ("10.0.0.1", true),
            ("172.31.0.1", true),
            ("192.168.0.1", true),
            ("127.0.0.1", true),
            ("169.254.0.1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::1", true),
            ("172.32.0.1", false),
            ("203.0.113.7", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(address.parse().unwrap()), expected, "{address}");
        }
    }
}
