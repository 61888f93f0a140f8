//! The rate limit per client network: `IP_RATE_LIMIT` and `IP_RATE_LIMIT_OVERRIDES`.
//!
//! An IPv4 client is an address, and an IPv6 client is a /64 network. IPv6 sites (/48) have an additional limit of
//! sixteen times the quota, because a site contains 65,536 clients.

use std::{
    net::IpAddr,
    num::NonZeroU32,
    str::FromStr,
    time::{Duration, Instant},
};

use callers::{CLIENT, ClientIpFinder, ClientReason, PrefixLength, parse_network};
use ipnet::IpNet;
use outbox::Quota;
use poem::http::HeaderMap;

use super::{
    buckets::Buckets,
    limited_requests::{LimitedRequests, Majority},
    proxy_log::{loggable, warn_about_untrusted_proxy},
};

/// A network whose clients share a bucket once there are too many buckets for single clients. An IPv6 network of this
/// size is what a provider assigns to one customer (a site), and has its own limit.
const SITE: PrefixLength = PrefixLength { v4: 24, v6: 48 };
/// A network whose clients share a bucket once there are too many buckets for single clients and for sites.
const REGION: PrefixLength = PrefixLength { v4: 16, v6: 32 };
/// A site's quota as a multiple of a client's quota.
const SITE_QUOTA_FACTOR: u32 = 16;
/// Tokens that a request costs while the queue is under pressure or full. Clients then have a third of their usual
/// limit, but can make at least one request.
pub(super) const PRESSURE_COST: NonZeroU32 = NonZeroU32::new(3).expect("three is not zero");
/// How often idle buckets are removed.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(10);

/// `IP_RATE_LIMIT_OVERRIDES`: networks whose clients have a different quota. An entry looks like `10.1.0.0/16=600/1m`.
#[derive(Debug, Clone, Default)]
pub(crate) struct QuotaOverrides(Vec<(IpNet, Quota)>);

impl FromStr for QuotaOverrides {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parse = |entry: &str| {
            let (network, quota) = entry
                .split_once('=')
                .ok_or_else(|| format!("`{entry}` is not a network with a limit, such as 10.1.0.0/16=600/1m"))?;
            Ok((parse_network(network.trim())?, quota.parse()?))
        };
        entries.map(parse).collect::<Result<_, String>>().map(Self)
    }
}

/// Limits requests per client network.
#[derive(Debug)]
pub(crate) struct IpRateLimiter {
    client_ips: ClientIpFinder,
    default: ClientAndSiteLimit,
    /// Sorted by prefix length, longest first: the first network that contains an address is the smallest.
    overrides: Vec<(IpNet, ClientAndSiteLimit)>,
    limited: LimitedRequests,
}

/// One quota for each client, and sixteen times that quota for each IPv6 site.
#[derive(Debug)]
struct ClientAndSiteLimit {
    clients: Buckets,
    sites: Buckets,
}

/// A client's quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QuotaState {
    /// The quota that leaves the client fewer requests: the client's own quota, or that of its IPv6 site.
    pub(crate) quota: Quota,
    /// Number of requests that the client can still make without waiting.
    pub(crate) remaining: u32,
    /// Time until the client can make one request more than `remaining`.
    pub(crate) until_more: Duration,
}

impl ClientAndSiteLimit {
    fn new(quota: Quota) -> Self {
        let site_quota = Quota { limit: quota.limit.saturating_mul(SITE_QUOTA_FACTOR), ..quota };
        Self { clients: Buckets::new(quota, &[CLIENT, SITE, REGION]), sites: Buckets::new(site_quota, &[SITE, REGION]) }
    }

    fn take(&self, ip: IpAddr, cost: NonZeroU32) -> Result<QuotaState, QuotaState> {
        let client = take(&self.clients, ip, cost)?;
        if ip.is_ipv4() {
            return Ok(client);
        }
        let site = take(&self.sites, ip, cost)?;
        Ok(if site.remaining < client.remaining { site } else { client })
    }

    fn remove_idle(&self) {
        self.clients.remove_idle();
        self.sites.remove_idle();
    }
}

/// Takes `cost` tokens. Returns the remaining quota as a number of requests of that cost.
fn take(buckets: &Buckets, ip: IpAddr, cost: NonZeroU32) -> Result<QuotaState, QuotaState> {
    let Quota { limit, window } = buckets.quota();
    let quota = Quota { limit: (limit / cost).max(1), window };
    match buckets.take(ip, cost) {
        Ok(tokens) => Ok(QuotaState { quota, remaining: tokens / cost, until_more: quota.interval() }),
        Err(wait) => Err(QuotaState { quota, remaining: 0, until_more: wait }),
    }
}

impl IpRateLimiter {
    /// Creates a limiter without any recorded requests.
    pub(crate) fn new(client_ips: ClientIpFinder, quota: Quota, overrides: &QuotaOverrides) -> Self {
        let mut overrides: Vec<_> =
            overrides.0.iter().map(|(network, quota)| (*network, ClientAndSiteLimit::new(*quota))).collect();
        overrides.sort_by_key(|(network, _)| std::cmp::Reverse(network.prefix_len()));
        Self { client_ips, default: ClientAndSiteLimit::new(quota), overrides, limited: LimitedRequests::default() }
    }

    /// Returns the client's address (see [`ClientIpFinder::find`]). Warns once about a proxy that is probably missing
    /// from `TRUSTED_PROXIES`.
    pub(crate) fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let found = self.client_ips.find(peer, headers);
        if found.reason == ClientReason::UntrustedPeer {
            warn_about_untrusted_proxy(found.address, headers, &self.client_ips.header());
        }
        found.address
    }

    /// Takes `cost` tokens from the quotas of the client and of its IPv6 site. The smallest override that contains the
    /// address applies.
    ///
    /// # Errors
    /// Fails if one of these quotas has too few tokens left.
    pub(crate) fn take(&self, ip: IpAddr, cost: NonZeroU32) -> Result<QuotaState, QuotaState> {
        let matching = self.overrides.iter().find(|(network, _)| network.contains(&ip));
        matching.map_or(&self.default, |(_, limit)| limit).take(ip, cost)
    }

    /// Records a request above the limit. Warns, at most once an hour, if most requests above the limit come from one
    /// client.
    pub(super) fn note_limited(&self, client: IpAddr, peer: IpAddr) {
        let Some(Majority { limited, from_one }) = self.limited.note(CLIENT.network(client), Instant::now()) else {
            return;
        };
        let address = loggable(&self.client_ips, client, peer).map(tracing::field::display);
        tracing::warn!(
            limited,
            from_one,
            address,
            "most requests above IP_RATE_LIMIT came from one address: possibly one client that sends too many \
             requests, an office with many people (set IP_RATE_LIMIT_OVERRIDES), or a proxy whose callers share one \
             limit (check TRUSTED_PROXIES, CLIENT_IP_HEADER and TRUSTED_PROXY_HOPS)"
        );
    }

    /// Removes idle buckets every 10 seconds. Never returns.
    pub(crate) async fn run_cleanup(&self) {
        let mut ticks = tokio::time::interval(CLEANUP_INTERVAL);
        loop {
            ticks.tick().await;
            self.default.remove_idle();
            self.overrides.iter().for_each(|(_, limit)| limit.remove_idle());
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
    fn a_site_has_the_quota_of_sixteen_clients() {
        let limit = IpRateLimiter::new(ClientIpFinder::default(), "2/1h".parse().unwrap(), &QuotaOverrides::default());
        for subnet in 0..16 {
            for _ in 0..2 {
                assert!(limit.take(ip(&format!("2001:db8:1:{subnet:x}::1")), NonZeroU32::MIN).is_ok(), "{subnet}");
            }
        }
        let exceeded = limit.take(ip("2001:db8:1:ff::1"), NonZeroU32::MIN).unwrap_err();
        assert_eq!(exceeded.quota.limit, 32);
        assert!(limit.take(ip("2001:db8:2::1"), NonZeroU32::MIN).is_ok());
    }

    #[test]
    fn the_smallest_override_that_contains_the_address_applies() {
        let overrides = "10.0.0.0/8=2/1h, 10.1.0.0/16=3/1h, 2001:db8::/32=1/1h".parse().unwrap();
        let limit = IpRateLimiter::new(ClientIpFinder::default(), "1/1h".parse().unwrap(), &overrides);
        for (address, quota) in [("10.1.2.3", 3), ("10.2.2.3", 2), ("192.0.2.1", 1), ("2001:db8::1", 1)] {
            let allowed = (0..10).take_while(|_| limit.take(ip(address), NonZeroU32::MIN).is_ok()).count();
            assert_eq!(allowed, quota, "{address}");
        }
    }

    #[test]
    fn under_pressure_a_client_has_a_third_of_its_limit_but_at_least_one_request() {
        let limit = IpRateLimiter::new(ClientIpFinder::default(), "30/1h".parse().unwrap(), &QuotaOverrides::default());
        let taken = (0..30).take_while(|_| limit.take(ip("203.0.113.7"), PRESSURE_COST).is_ok()).count();
        assert_eq!(taken, 10);
        assert_eq!(limit.take(ip("203.0.113.7"), PRESSURE_COST).unwrap_err().quota.limit, 10);
        let small = IpRateLimiter::new(ClientIpFinder::default(), "2/1h".parse().unwrap(), &QuotaOverrides::default());
        assert!(small.take(ip("203.0.113.7"), PRESSURE_COST).is_ok(), "at least one request");
        assert!(small.take(ip("203.0.113.7"), PRESSURE_COST).is_err());
    }

    #[test]
    fn the_remaining_quota_is_in_requests_and_is_the_lower_of_client_and_site() {
        let limit = |quota: &str| {
            IpRateLimiter::new(ClientIpFinder::default(), quota.parse().unwrap(), &QuotaOverrides::default())
        };
        let after = |taken: Result<QuotaState, QuotaState>| {
            let QuotaState { quota, remaining, until_more } = taken.unwrap();
            (quota.limit, remaining, until_more.as_secs())
        };
        let v4 = limit("30/1h");
        assert_eq!(after(v4.take(ip("203.0.113.7"), NonZeroU32::MIN)), (30, 29, 120));
        assert_eq!(after(v4.take(ip("203.0.113.7"), PRESSURE_COST)), (10, 8, 360), "26 tokens");

        let v6 = limit("30/1h");
        assert_eq!(after(v6.take(ip("2001:db8:1:1::1"), NonZeroU32::MIN)), (30, 29, 120));
        for subnet in 2..=16 {
            for _ in 0..30 {
                v6.take(ip(&format!("2001:db8:1:{subnet:x}::1")), NonZeroU32::MIN).unwrap();
            }
        }
        for _ in 0..10 {
            v6.take(ip("2001:db8:1:11::1"), NonZeroU32::MIN).unwrap();
        }
        // The client has 28 requests left, and its site has 18 of 480 left.
        assert_eq!(after(v6.take(ip("2001:db8:1:1::1"), NonZeroU32::MIN)), (480, 18, 7));
    }

    #[test]
    fn an_override_without_a_network_or_a_quota_is_refused() {
        for text in ["10.1.0.0/16", "10.1.0.0/16=", "=600/1m", "0.0.0.0/0=1/1m", "x=600/1m", "10.1.0.0/16=600"] {
            assert!(text.parse::<QuotaOverrides>().is_err(), "{text}");
        }
    }
}
