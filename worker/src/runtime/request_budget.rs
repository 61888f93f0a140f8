//! Limits how often this worker makes redirect checks.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Maximum number of requests in any minute: enough for one new callback with its three test URLs and the job's own
/// URL. In measurements with Supabase's rate limit enabled, a client address could call `/verify` only about six times
/// a minute after its first 30 requests. People who sign in from the worker's address share the same limit.
const MAX_REQUESTS: usize = 4;
const WINDOW: Duration = Duration::from_mins(1);

/// The times of the requests in the last minute, oldest first.
#[derive(Debug, Default)]
pub(super) struct RequestBudget(VecDeque<Instant>);

impl RequestBudget {
    /// Number of requests that the budget still allows at `now`.
    pub(super) fn remaining(&mut self, now: Instant) -> usize {
        while self.0.front().is_some_and(|sent_at| now.duration_since(*sent_at) >= WINDOW) {
            self.0.pop_front();
        }
        MAX_REQUESTS - self.0.len()
    }

    /// Takes one request from the budget. Returns false if the budget is used up.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_left = self.remaining(now) > 0;
        if is_left {
            self.0.push_back(now);
        }
        is_left
    }

    /// Uses up the budget for one minute.
    pub(super) fn exhaust(&mut self, now: Instant) {
        self.0 = VecDeque::from([now; MAX_REQUESTS]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_minute_has_at_most_four_requests() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut budget = RequestBudget::default();
        for seconds in [0, 10, 20, 30] {
            assert!(budget.take(at(seconds)));
        }
        for (seconds, is_left) in
            [(30, false), (59, false), (60, true), (61, false), (70, true), (79, false), (80, true)]
        {
            assert_eq!(budget.take(at(seconds)), is_left, "{seconds}");
        }
        assert_eq!(budget.remaining(at(200)), 4);
    }

    #[test]
    fn an_exhausted_budget_is_full_again_after_a_minute() {
        let start = Instant::now();
        let mut budget = RequestBudget::default();
        assert!(budget.take(start));
        budget.exhaust(start);
        assert_eq!(budget.remaining(start + Duration::from_secs(59)), 0);
        assert_eq!(budget.remaining(start + Duration::from_secs(60)), 4);
    }
}
