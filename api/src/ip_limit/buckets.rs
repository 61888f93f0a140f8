//! Buckets of one quota, a bucket per network, in bounded memory.
//!
//! While there is room each network has its own. When there is none, all share those of coarser networks, and in
//! the end one: a flood of addresses may cost its neighbours their quota, but never switches the limit off.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{
    RateLimiter,
    clock::{Clock as _, DefaultClock},
    state::keyed::DashMapStateStore,
};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use outbox::Quota;

/// Most buckets of one width: some tens of megabytes.
const MAX_BUCKETS: usize = 1_000_000;

type Limiter = RateLimiter<IpNet, DashMapStateStore<IpNet>, DefaultClock>;

/// How many leading bits of an address make its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Width {
    pub(crate) v4: u8,
    pub(crate) v6: u8,
}

impl Width {
    /// The network of this width around an address.
    pub(crate) fn network(self, ip: IpAddr) -> IpNet {
        match ip {
            IpAddr::V4(ip) => Ipv4Net::new_assert(ip, self.v4).trunc().into(),
            IpAddr::V6(ip) => Ipv6Net::new_assert(ip, self.v6).trunc().into(),
        }
    }
}

/// The buckets of one quota.
#[derive(Debug)]
pub(crate) struct Buckets {
    quota: Quota,
    /// The narrowest first; the last one always has room.
    rungs: Vec<(Width, Limiter)>,
    max: usize,
}

impl Buckets {
    /// A bucket per network of the first width; the others are for want of room.
    pub(crate) fn new(quota: Quota, widths: &[Width]) -> Self {
        Self::with_room_for(MAX_BUCKETS, quota, widths)
    }

    fn with_room_for(max: usize, quota: Quota, widths: &[Width]) -> Self {
        let one = Width { v4: 0, v6: 0 };
        let rungs = widths.iter().copied().chain([one]).map(|width| (width, limiter(quota))).collect();
        Self { quota, rungs, max }
    }

    /// The quota of each bucket.
    pub(crate) fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes a request's price out of the address's bucket (all of it, if it holds less), or tells how long to wait.
    pub(crate) fn take(&self, ip: IpAddr, price: NonZeroU32) -> Result<(), Duration> {
        let last = self.rungs.len() - 1;
        let free = self.rungs[..last].iter().find(|(_, limiter)| limiter.len() < self.max);
        let (width, limiter) = free.unwrap_or(&self.rungs[last]);
        let price = price.min(NonZeroU32::new(self.quota.limit).unwrap_or(NonZeroU32::MIN));
        match limiter.check_key_n(&width.network(ip), price) {
            Ok(taken) => taken.map_err(|refused| refused.wait_time_from(limiter.clock().now())),
            // A bucket holds its quota, and no price is higher.
            Err(_) => Ok(()),
        }
    }

    /// Forgets the buckets that are full again.
    pub(crate) fn forget_idle(&self) {
        for (_, limiter) in &self.rungs {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn limiter(quota: Quota) -> Limiter {
    let burst = NonZeroU32::new(quota.limit).unwrap_or(NonZeroU32::MIN);
    // A quota's window is a second at least and its limit a million at most: the interval is never zero.
    let rate = governor::Quota::with_period(quota.interval()).unwrap_or(governor::Quota::per_second(burst));
    RateLimiter::dashmap(rate.allow_burst(burst))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIDTHS: [Width; 2] = [Width { v4: 32, v6: 64 }, Width { v4: 24, v6: 48 }];

    fn taken(buckets: &Buckets, ip: &str) -> bool {
        buckets.take(ip.parse().unwrap(), NonZeroU32::MIN).is_ok()
    }

    #[test]
    fn each_network_has_its_own_bucket() {
        let buckets = Buckets::new("2/1h".parse().unwrap(), &WIDTHS);
        for (ip, expected) in [
            ("203.0.113.7", true),
            ("203.0.113.7", true),
            ("203.0.113.7", false),
            ("203.0.113.8", true),
            ("2001:db8:1:2::1", true),
            ("2001:db8:1:2::2", true),
            ("2001:db8:1:2::3", false),
            ("2001:db8:1:3::1", true),
        ] {
            assert_eq!(taken(&buckets, ip), expected, "{ip}");
        }
        let wait = buckets.take("203.0.113.7".parse().unwrap(), NonZeroU32::MIN).unwrap_err();
        assert!((1_790..=1_800).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn without_room_neighbours_share_and_nobody_goes_unlimited() {
        let buckets = Buckets::with_room_for(1, "1/1h".parse().unwrap(), &WIDTHS);
        for (ip, expected) in [
            ("203.0.113.7", true),
            ("198.51.100.1", true),
            ("192.0.2.1", true),
            ("192.0.3.1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(taken(&buckets, ip), expected, "{ip}");
        }
    }

    #[test]
    fn a_bucket_in_use_is_not_forgotten() {
        let buckets = Buckets::new("1/1h".parse().unwrap(), &WIDTHS);
        assert!(taken(&buckets, "203.0.113.7"));
        buckets.forget_idle();
        assert!(!taken(&buckets, "203.0.113.7"));
    }
}
