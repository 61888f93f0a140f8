//! `TRUSTED_PROXIES`: the networks whose forwarding headers are trusted.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;

/// Networks of proxies whose headers are trusted.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Whether no proxy is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the address belongs to a trusted proxy. Convert IPv4-mapped IPv6 addresses to IPv4 before the call.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

impl FromStr for TrustedProxies {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(parse_network).collect::<Result<_, _>>().map(Self)
    }
}

/// Parses a network or a single address from the settings.
///
/// # Errors
/// `text` is not a network or an address, is a network of all addresses, or is an IPv4 network written as IPv6.
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(ip) => IpNet::from(ip),
        Err(_) => text.parse().map_err(|_| format!("`{text}` is not a network like 10.0.0.0/8"))?,
    };
    if network.prefix_len() == 0 {
        return Err(format!("`{text}` contains every address: list smaller networks"));
    }
    match network {
        IpNet::V6(v6) if v6.addr().to_ipv4_mapped().is_some() => Err(format!("`{text}` must be written as IPv4")),
        _ => Ok(network.trunc()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
