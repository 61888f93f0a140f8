//! The first check of every request to the endpoint, before its body is read: how often its network may call.
//!
//! IPv4 by the address, IPv6 by /64, and by /48 at sixteen times the quota, since whoever has a /48 has 65,536
//! of the others.

use std::{net::IpAddr, num::NonZeroU32, str::FromStr, time::Duration};

use ipnet::IpNet;
use outbox::Quota;

use super::{
    buckets::{Buckets, Width},
    client_ip::{TrustedProxies, parse_network},
};

/// What counts as one client.
const CLIENT: Width = Width { v4: 32, v6: 64 };
/// What a provider gives to one customer: limited besides, for IPv6.
const SITE: Width = Width { v4: 24, v6: 48 };
/// What is shared when there is no room for more.
const REGION: Width = Width { v4: 16, v6: 32 };
/// How many clients' quotas a site has.
const CLIENTS_PER_SITE: u32 = 16;
/// What a request costs once half of what may wait does: the limit is a third then.
pub(super) const SCARCE_PRICE: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");
/// How often idle buckets are forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(10);

/// A caller's network as the limits see it: `203.0.113.7`, or `2001:db8:1:2::/64`.
#[derive(Debug, Clone)]
pub(crate) struct ClientNetwork(pub(crate) String);

impl From<IpAddr> for ClientNetwork {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self(ip.to_string()),
            IpAddr::V6(_) => Self(CLIENT.network(ip).to_string()),
        }
    }
}

/// `IP_RATE_LIMIT_OVERRIDES`: networks with a quota of their own. Written `10.1.0.0/16=600/1m`.
#[derive(Debug, Clone, Default)]
pub(crate) struct QuotaOverrides(Vec<(IpNet, Quota)>);

impl FromStr for QuotaOverrides {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse = |entry: &str| {
            let (network, quota) =
                entry.split_once('=').ok_or_else(|| format!("`{entry}` is not like 10.1.0.0/16=600/1m"))?;
            Ok((parse_network(network.trim())?, quota.parse()?))
        };
        entries.map(parse).collect::<Result<_, String>>().map(Self)
    }
}

/// The limit's state.
#[derive(Debug)]
pub(crate) struct IpLimit {
    pub(super) proxies: TrustedProxies,
    default: ClientAndSiteLimit,
    /// The narrowest network first.
    overrides: Vec<(IpNet, ClientAndSiteLimit)>,
}

/// One quota, for clients and for whole sites.
#[derive(Debug)]
struct ClientAndSiteLimit {
    clients: Buckets,
    sites: Buckets,
}

/// A refusal: by which quota, and for how long.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LimitExceeded {
    pub(super) quota: Quota,
    pub(super) wait: Duration,
}

impl ClientAndSiteLimit {
    fn new(quota: Quota) -> Self {
        let of_site = Quota { limit: quota.limit.saturating_mul(CLIENTS_PER_SITE), ..quota };
        Self { clients: Buckets::new(quota, &[CLIENT, SITE, REGION]), sites: Buckets::new(of_site, &[SITE, REGION]) }
    }

    fn take(&self, ip: IpAddr, price: NonZeroU32) -> Result<(), LimitExceeded> {
        let over = |buckets: &Buckets, wait| {
            let Quota { limit, window } = buckets.quota();
            LimitExceeded { quota: Quota { limit: (limit / price).max(1), window }, wait }
        };
        self.clients.take(ip, price).map_err(|wait| over(&self.clients, wait))?;
        if ip.is_ipv6() { self.sites.take(ip, price).map_err(|wait| over(&self.sites, wait)) } else { Ok(()) }
    }

    fn forget_idle(&self) {
        self.clients.forget_idle();
        self.sites.forget_idle();
    }
}

impl IpLimit {
    /// Nobody has called yet.
    pub(crate) fn new(proxies: TrustedProxies, quota: Quota, overrides: &QuotaOverrides) -> Self {
        let mut overrides: Vec<_> =
            overrides.0.iter().map(|(network, quota)| (*network, ClientAndSiteLimit::new(*quota))).collect();
        overrides.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        Self { proxies, default: ClientAndSiteLimit::new(quota), overrides }
    }

    pub(super) fn take(&self, ip: IpAddr, price: NonZeroU32) -> Result<(), LimitExceeded> {
        let own = self.overrides.iter().find(|(network, _)| network.contains(&ip));
        own.map_or(&self.default, |(_, limit)| limit).take(ip, price)
    }

    /// Forgets idle callers, for ever.
    pub(crate) async fn keep_small(&self) {
        let mut ticks = tokio::time::interval(FORGET_EVERY);
        loop {
            ticks.tick().await;
            self.default.forget_idle();
            self.overrides.iter().for_each(|(_, limit)| limit.forget_idle());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_site_has_sixteen_clients_quotas() {
        let limit = IpLimit::new(TrustedProxies::default(), "2/1h".parse().unwrap(), &QuotaOverrides::default());
        for subnet in 0..16 {
            for _ in 0..2 {
                assert_eq!(limit.take(ip(&format!("2001:db8:1:{subnet:x}::1")), NonZeroU32::MIN), Ok(()), "{subnet}");
            }
        }
        assert_eq!(limit.take(ip("2001:db8:1:ff::1"), NonZeroU32::MIN).map_err(|over| over.quota.limit), Err(32));
        assert_eq!(limit.take(ip("2001:db8:2::1"), NonZeroU32::MIN), Ok(()));
    }

    #[test]
    fn the_narrowest_override_that_holds_the_address_decides() {
        let overrides = "10.0.0.0/8=2/1h, 10.1.0.0/16=3/1h, 2001:db8::/32=1/1h".parse().unwrap();
        let limit = IpLimit::new(TrustedProxies::default(), "1/1h".parse().unwrap(), &overrides);
        for (address, quota) in [("10.1.2.3", 3), ("10.2.2.3", 2), ("192.0.2.1", 1), ("2001:db8::1", 1)] {
            let allowed = (0..10).take_while(|_| limit.take(ip(address), NonZeroU32::MIN).is_ok()).count();
            assert_eq!(allowed, quota, "{address}");
        }
    }

    #[test]
    fn a_dearer_request_leaves_a_third_of_the_limit() {
        let limit = IpLimit::new(TrustedProxies::default(), "30/1h".parse().unwrap(), &QuotaOverrides::default());
        let taken = (0..30).take_while(|_| limit.take(ip("203.0.113.7"), SCARCE_PRICE).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(limit.take(ip("203.0.113.7"), SCARCE_PRICE).map_err(|over| over.quota.limit), Err(10));
        let narrow = IpLimit::new(TrustedProxies::default(), "2/1h".parse().unwrap(), &QuotaOverrides::default());
        assert_eq!(narrow.take(ip("203.0.113.7"), SCARCE_PRICE), Ok(()), "never none");
        assert!(narrow.take(ip("203.0.113.7"), SCARCE_PRICE).is_err());
    }

    #[test]
    fn a_client_is_an_address_or_a_subnet() {
        assert_eq!(ClientNetwork::from(ip("203.0.113.7")).0, "203.0.113.7");
        assert_eq!(ClientNetwork::from(ip("2001:db8:1:2:3:4:5:6")).0, "2001:db8:1:2::/64");
    }

    #[test]
    fn an_override_is_a_network_and_a_quota() {
        for text in ["10.1.0.0/16", "10.1.0.0/16=", "=600/1m", "0.0.0.0/0=1/1m", "x=600/1m", "10.1.0.0/16=600"] {
            assert!(text.parse::<QuotaOverrides>().is_err(), "{text}");
        }
    }
}
