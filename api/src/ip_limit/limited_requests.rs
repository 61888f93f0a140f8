//! Remembers the networks of the latest rate-limited requests, and reports if most of these requests came from one
//! network. The cause may be one busy client, or a proxy whose callers share one bucket because a setting is missing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use ipnet::IpNet;

/// Number of rate-limited requests to remember.
const REMEMBERED: usize = 1_000;
/// Minimum number of remembered requests before a warning is logged.
const MIN_REQUESTS: usize = 50;
/// Minimum time between two warnings.
const INTERVAL: Duration = Duration::from_hours(1);

/// The latest rate-limited requests.
#[derive(Debug, Default)]
pub(super) struct LimitedRequests(Mutex<Recent>);

/// The counts to log if more than half of the remembered requests came from one network.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Majority {
    /// Number of remembered requests.
    pub(super) limited: usize,
    /// Number of remembered requests from the network that sent the majority.
    pub(super) from_one: usize,
}

#[derive(Debug, Default)]
struct Recent {
    networks: VecDeque<IpNet>,
    counts: HashMap<IpNet, usize>,
    warned_at: Option<Instant>,
}

impl LimitedRequests {
    /// Records a rate-limited request from `network`. Returns the counts for a warning if more than half of the
    /// remembered requests came from this network, unless fewer than [`MIN_REQUESTS`] requests are remembered or the
    /// previous warning was less than an hour ago. A warning resets the counts.
    pub(super) fn note(&self, network: IpNet, now: Instant) -> Option<Majority> {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from_one = recent.add(network);
        let limited = recent.networks.len();
        let is_quiet = recent.warned_at.is_some_and(|at| now.duration_since(at) < INTERVAL);
        if is_quiet || limited < MIN_REQUESTS || from_one * 2 <= limited {
            return None;
        }
        *recent = Recent { warned_at: Some(now), ..Recent::default() };
        Some(Majority { limited, from_one })
    }
}

impl Recent {
    /// Adds a request, forgets the oldest request if there are more than [`REMEMBERED`], and returns how many
    /// remembered requests came from `network`.
    fn add(&mut self, network: IpNet) -> usize {
        self.networks.push_back(network);
        *self.counts.entry(network).or_default() += 1;
        if self.networks.len() > REMEMBERED
            && let Some(oldest) = self.networks.pop_front()
            && let Some(count) = self.counts.get_mut(&oldest)
        {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&oldest);
            }
        }
        self.counts.get(&network).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(number: usize) -> IpNet {
        format!("2001:db8:0:{number:x}::/64").parse().unwrap()
    }

    fn note_all(requests: &LimitedRequests, now: Instant, networks: impl IntoIterator<Item = usize>) -> Vec<Majority> {
        networks.into_iter().filter_map(|number| requests.note(network(number), now)).collect()
    }

    #[test]
    fn a_majority_is_reported_from_the_fiftieth_request_on() {
        let (requests, now) = (LimitedRequests::default(), Instant::now());
        assert_eq!(note_all(&requests, now, (0..24).chain(vec![99; 25])), []);
        assert_eq!(note_all(&requests, now, [99]), [Majority { limited: 50, from_one: 26 }]);
    }

    #[test]
    fn half_of_the_requests_is_not_a_majority() {
        let (requests, now) = (LimitedRequests::default(), Instant::now());
        assert_eq!(note_all(&requests, now, (0..500).flat_map(|other| [other, 999])), []);
        assert_eq!(note_all(&requests, now, [999]).len(), 1, "the oldest request is no longer counted");
    }

    #[test]
    fn only_the_last_thousand_requests_are_remembered() {
        let (requests, now) = (LimitedRequests::default(), Instant::now());
        assert_eq!(note_all(&requests, now, 0..40_000), []);
        let recent = requests.0.lock().unwrap();
        assert_eq!((recent.networks.len(), recent.counts.len()), (1_000, 1_000));
    }

    #[test]
    fn there_is_one_warning_an_hour_and_only_for_new_requests() {
        let (requests, start) = (LimitedRequests::default(), Instant::now());
        let hour = Duration::from_secs(3_600);
        assert_eq!(note_all(&requests, start, [7; 300]).len(), 1);
        assert_eq!(note_all(&requests, start + hour - Duration::from_secs(1), [7; 20]), []);
        assert_eq!(note_all(&requests, start + hour, [7; 1]), [Majority { limited: 271, from_one: 271 }]);
        assert_eq!(note_all(&requests, start + hour * 3, [7; 49]), []);
        assert_eq!(note_all(&requests, start + hour * 3, [7; 1]), [Majority { limited: 50, from_one: 50 }]);
    }
}
