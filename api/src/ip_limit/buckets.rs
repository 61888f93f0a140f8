//! Token buckets for one quota, one bucket per network, in bounded memory.
//!
//! The buckets form levels, one for each network size. If a level contains its maximum number of buckets, requests use
//! the next level, whose networks are larger and shared by more clients. The last level has a single bucket for all
//! clients. A flood from many addresses can therefore use up the quota of neighbouring addresses, but it cannot disable
//! the limit.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use callers::PrefixLength;
use governor::{
    RateLimiter,
    clock::{Clock as _, DefaultClock},
    middleware::StateInformationMiddleware,
    state::keyed::DashMapStateStore,
};
use ipnet::IpNet;
use outbox::Quota;

/// Maximum number of buckets per level. A full level uses tens of megabytes.
const MAX_BUCKETS: usize = 1_000_000;

type Limiter = RateLimiter<IpNet, DashMapStateStore<IpNet>, DefaultClock, StateInformationMiddleware>;

#[derive(Debug)]
pub(super) struct Buckets {
    quota: Quota,
    /// Sorted from the smallest networks to the largest. The last level has a single bucket.
    levels: Vec<(PrefixLength, Limiter)>,
    max_buckets: usize,
}

impl Buckets {
    /// Creates one level per prefix length and a last level for everyone. The prefix lengths must be sorted from
    /// longest to shortest.
    pub(super) fn new(quota: Quota, prefix_lengths: &[PrefixLength]) -> Self {
        Self::with_max_buckets(MAX_BUCKETS, quota, prefix_lengths)
    }

    fn with_max_buckets(max_buckets: usize, quota: Quota, prefix_lengths: &[PrefixLength]) -> Self {
        let everybody = PrefixLength { v4: 0, v6: 0 };
        let levels = prefix_lengths.iter().copied().chain([everybody]).map(|length| (length, limiter(quota))).collect();
        Self { quota, levels, max_buckets }
    }

    /// The quota that every bucket enforces.
    pub(super) fn quota(&self) -> Quota {
        self.quota
    }

    /// Takes `cost` tokens from the address's bucket, and returns how many are left. A cost above the quota's limit
    /// counts as the limit.
    ///
    /// # Errors
    /// Returns the time until the bucket has enough tokens, if it has too few now.
    pub(super) fn take(&self, ip: IpAddr, cost: NonZeroU32) -> Result<u32, Duration> {
        let last = self.levels.len() - 1;
        let with_room = self.levels[..last].iter().find(|(_, limiter)| limiter.len() < self.max_buckets);
        let (prefix_length, limiter) = with_room.unwrap_or(&self.levels[last]);
        let cost = cost.min(NonZeroU32::new(self.quota.limit).unwrap_or(NonZeroU32::MIN));
        match limiter.check_key_n(&prefix_length.network(ip), cost) {
            Ok(result) => result
                .map(|state| state.remaining_burst_capacity())
                .map_err(|denied| denied.wait_time_from(limiter.clock().now())),
            // This cannot happen, because the cost is at most the bucket's capacity.
            Err(_) => Ok(0),
        }
    }

    /// Removes buckets that are full again, because a full bucket is the same as a new one.
    pub(super) fn remove_idle(&self) {
        for (_, limiter) in &self.levels {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

fn limiter(quota: Quota) -> Limiter {
    let burst = NonZeroU32::new(quota.limit).unwrap_or(NonZeroU32::MIN);
    // `with_period` returns `None` only for an interval of zero. A quota's window is at least one second and its limit
    // is at most one million, so the interval is never zero.
    let rate = governor::Quota::with_period(quota.interval()).unwrap_or(governor::Quota::per_second(burst));
    RateLimiter::dashmap(rate.allow_burst(burst)).with_middleware()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX_LENGTHS: [PrefixLength; 2] = [PrefixLength { v4: 32, v6: 64 }, PrefixLength { v4: 24, v6: 48 }];

    fn is_accepted(buckets: &Buckets, ip: &str) -> bool {
        buckets.take(ip.parse().unwrap(), NonZeroU32::MIN).is_ok()
    }

    #[test]
    fn each_network_has_its_own_bucket() {
        let buckets = Buckets::new("2/1h".parse().unwrap(), &PREFIX_LENGTHS);
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
            assert_eq!(is_accepted(&buckets, ip), expected, "{ip}");
        }
        let wait = buckets.take("203.0.113.7".parse().unwrap(), NonZeroU32::MIN).unwrap_err();
        assert!((1_790..=1_800).contains(&wait.as_secs()), "{wait:?}");
    }

    #[test]
    fn when_a_level_is_full_clients_share_the_buckets_of_larger_networks() {
        let buckets = Buckets::with_max_buckets(1, "1/1h".parse().unwrap(), &PREFIX_LENGTHS);
        for (ip, expected) in [
            ("203.0.113.7", true),
            ("198.51.100.1", true),
            ("192.0.2.1", true),
            ("192.0.3.1", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(is_accepted(&buckets, ip), expected, "{ip}");
        }
    }

    #[test]
    fn a_bucket_in_use_is_not_removed() {
        let buckets = Buckets::new("1/1h".parse().unwrap(), &PREFIX_LENGTHS);
        assert!(is_accepted(&buckets, "203.0.113.7"));
        buckets.remove_idle();
        assert!(!is_accepted(&buckets, "203.0.113.7"));
    }
}
