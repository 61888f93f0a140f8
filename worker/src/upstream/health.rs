//! Counts each upstream's consecutive failures in this process and slows down claims while an upstream is failing. The
//! breakers, which all workers share, are in the outbox.
//!
//! When an upstream fails for several recipients in a row, the worker claims one job at a time, at growing intervals, so
//! that an outage does not use up the attempts of every job. Failures of one or two recipients never slow down the others.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use outbox::{Failure, Upstream};
use tokio::time::Instant;

use super::verdict::{UpstreamFailure, Verdict};

/// Consecutive failures after which an upstream counts as down.
const DOWN_AFTER_CALLS: u32 = 3;

/// Consecutive failures after which claims slow down, if they concern enough recipients.
const SLOW_AFTER_CALLS: u32 = 5;
const SLOW_AFTER_RECIPIENTS: usize = 3;

/// Seconds between two jobs while claims are slow. The last interval repeats.
const SLOW_INTERVALS: [u64; 6] = [1, 2, 5, 10, 20, 30];

/// An upstream no longer counts as down this long after its last failure.
const FORGET_AFTER: Duration = Duration::from_mins(5);

/// The health of both upstreams, as seen by this process.
#[derive(Debug, Default)]
pub struct UpstreamHealth {
    supabase: Mutex<FailureStreak>,
    mailgun: Mutex<FailureStreak>,
    slow: Mutex<SlowPace>,
}

/// How many jobs the worker may claim now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As many as there are free slots.
    Free,
    /// One job, to find out whether the upstream works again.
    One,
    /// No job for this long.
    Wait(Duration),
}

/// Progress through [`SLOW_INTERVALS`].
#[derive(Debug, Default)]
struct SlowPace {
    steps: usize,
    /// When the next job may be claimed; `None` while claims are not slow.
    next_at: Option<Instant>,
}

impl SlowPace {
    fn advance(&mut self, now: Instant) {
        let interval = SLOW_INTERVALS[self.steps.min(SLOW_INTERVALS.len() - 1)];
        self.steps += 1;
        self.next_at = Some(now + Duration::from_secs(interval));
    }
}

/// The failures since an upstream's last success.
#[derive(Debug, Default)]
struct FailureStreak {
    calls: u32,
    /// At most [`SLOW_AFTER_RECIPIENTS`] addresses.
    recipients: HashSet<String>,
    last: Option<(Failure, Instant)>,
}

impl FailureStreak {
    fn slows_claims(&self) -> bool {
        self.calls >= SLOW_AFTER_CALLS && self.recipients.len() >= SLOW_AFTER_RECIPIENTS
    }
}

impl UpstreamHealth {
    /// Records a successful call, which ends the upstream's failure streak.
    pub fn record_success(&self, upstream: Upstream) {
        *self.streak(upstream) = FailureStreak::default();
    }

    /// Records a failed call. A missing response or a 5xx extends the failure streak if the verdict is `Retry` or
    /// `Unknown`. Any other failure ends the streak, because the upstream responded.
    pub fn record_failure(&self, upstream: Upstream, failure: &UpstreamFailure, recipient: &str) {
        let mut streak = self.streak(upstream);
        let is_unavailable = failure.http_status.is_none_or(|status| status >= 500);
        if is_unavailable && matches!(failure.verdict, Verdict::Retry { .. } | Verdict::Unknown) {
            streak.calls += 1;
            if streak.recipients.len() < SLOW_AFTER_RECIPIENTS {
                streak.recipients.insert(recipient.to_owned());
            }
            streak.last = Some((failure.reason.clone(), Instant::now()));
        } else {
            *streak = FailureStreak::default();
        }
    }

    /// The last failure if the upstream is down; otherwise `None`. An upstream is down after 3 consecutive failures, the last
    /// of them less than 5 minutes ago.
    pub fn down_reason(&self, upstream: Upstream) -> Option<Failure> {
        let streak = self.streak(upstream);
        let (reason, at) = streak.last.as_ref()?;
        (streak.calls >= DOWN_AFTER_CALLS && at.elapsed() < FORGET_AFTER).then(|| reason.clone())
    }

    /// How many jobs the worker may claim at `now`.
    pub fn pace(&self, now: Instant) -> Pace {
        let is_slow = [Upstream::Supabase, Upstream::Mailgun].into_iter().any(|upstream| self.slows_claims(upstream));
        let mut slow = self.slow_pace();
        if !is_slow {
            *slow = SlowPace::default();
            return Pace::Free;
        }
        if slow.next_at.is_none() {
            tracing::warn!("an upstream fails for several people in a row: claiming one job at a time");
            slow.advance(now);
        }
        match slow.next_at {
            Some(next_at) if next_at > now => Pace::Wait(next_at - now),
            _ => Pace::One,
        }
    }

    /// Whether claims are slow because of this upstream.
    pub fn slows_claims(&self, upstream: Upstream) -> bool {
        self.streak(upstream).slows_claims()
    }

    /// Records that a job was claimed at [`Pace::One`]. The next claim must wait for the next interval.
    pub fn record_slow_claim(&self, now: Instant) {
        self.slow_pace().advance(now);
    }

    fn slow_pace(&self) -> MutexGuard<'_, SlowPace> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn streak(&self, upstream: Upstream) -> MutexGuard<'_, FailureStreak> {
        let streak = match upstream {
            Upstream::Supabase => &self.supabase,
            Upstream::Mailgun => &self.mailgun,
        };
        streak.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> UpstreamFailure {
        UpstreamFailure {
            verdict: Verdict::Retry { not_before: None },
            reason: Failure::new("supabase_unavailable", "in trouble"),
            http_status: Some(503),
        }
    }

    #[test]
    fn failures_of_several_recipients_slow_claims_down_until_a_call_succeeds() {
        let health = UpstreamHealth::default();
        let start = Instant::now();
        for recipient in ["a", "b", "c", "d", "e"] {
            assert_eq!(health.pace(start), Pace::Free);
            health.record_failure(Upstream::Supabase, &unavailable(), recipient);
        }
        let mut now = start;
        for seconds in [1, 2, 5, 10, 20, 30, 30] {
            assert_eq!(health.pace(now), Pace::Wait(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(health.pace(now), Pace::One);
            assert_eq!(health.pace(now), Pace::One, "no job has been claimed yet");
            health.record_slow_claim(now);
        }
        health.record_success(Upstream::Supabase);
        assert_eq!(health.pace(now), Pace::Free);
    }

    #[test]
    fn failures_of_few_recipients_do_not_slow_claims_down() {
        let health = UpstreamHealth::default();
        for _ in 0..100 {
            health.record_failure(Upstream::Mailgun, &unavailable(), "a");
            health.record_failure(Upstream::Mailgun, &unavailable(), "b");
        }
        assert_eq!(health.pace(Instant::now()), Pace::Free);
    }
}
