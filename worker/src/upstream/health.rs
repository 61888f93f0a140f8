//! What this process has seen of its upstreams: whether they answer at all. (Breakers are the outbox's.)
//!
//! One that fails for several people in a row is in trouble itself: then one job at a time is let through, ever more
//! rarely, instead of burning every job's attempts on it. One person's failures never slow the others down.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use outbox::{Failure, upstreams::Upstream};
use tokio::time::Instant;

use super::verdict::{UpstreamFailure, Verdict};

/// So many calls in a row without a useful answer, and the upstream is called down.
const DOWN_AFTER: u32 = 3;

/// So many, for so many different people, and claims are slowed down.
const SLOW_AFTER: u32 = 5;
const SLOW_AFTER_PEOPLE: usize = 3;

/// Seconds between two jobs that are let through while claims are slow, the last one again and again.
const SLOW_INTERVALS: [u64; 6] = [1, 2, 5, 10, 20, 30];

/// The state of both upstreams, as far as this process knows.
#[derive(Debug, Default)]
pub struct UpstreamHealth {
    supabase: Mutex<FailureStreak>,
    mailgun: Mutex<FailureStreak>,
    slow: Mutex<SlowPace>,
}

/// How fast jobs may be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As many as there is room for.
    Free,
    /// One, to see whether the trouble is over.
    One,
    /// None for so long.
    Wait(Duration),
}

/// The jobs let through since claims became slow, and when the next one may come.
#[derive(Debug, Default)]
struct SlowPace {
    tries: usize,
    next: Option<Instant>,
}

impl SlowPace {
    fn advance(&mut self, now: Instant) {
        let interval = SLOW_INTERVALS[self.tries.min(SLOW_INTERVALS.len() - 1)];
        self.tries += 1;
        self.next = Some(now + Duration::from_secs(interval));
    }
}

#[derive(Debug, Default)]
struct FailureStreak {
    calls: u32,
    /// No more than it takes to call claims slow.
    people: HashSet<String>,
    last: Option<(Failure, Instant)>,
}

/// After so long without a call, old failures say nothing any more.
const FORGET_AFTER: Duration = Duration::from_mins(5);

impl FailureStreak {
    fn slows_down(&self) -> bool {
        self.calls >= SLOW_AFTER && self.people.len() >= SLOW_AFTER_PEOPLE
    }
}

impl UpstreamHealth {
    fn of(&self, upstream: Upstream) -> &Mutex<FailureStreak> {
        match upstream {
            Upstream::Supabase => &self.supabase,
            Upstream::Mailgun => &self.mailgun,
        }
    }

    /// A call succeeded.
    pub fn succeeded(&self, upstream: Upstream) {
        *self.silence(upstream) = FailureStreak::default();
    }

    /// A call did not: a network error or a 5xx counts towards being down, everything else is an answer.
    pub fn failed(&self, upstream: Upstream, trouble: &UpstreamFailure, recipient: &str) {
        let mut silence = self.silence(upstream);
        let no_answer = trouble.http_status.is_none_or(|status| status >= 500);
        if no_answer && matches!(trouble.verdict, Verdict::Retry { .. } | Verdict::Unknown) {
            silence.calls += 1;
            if silence.people.len() < SLOW_AFTER_PEOPLE {
                silence.people.insert(recipient.to_owned());
            }
            silence.last = Some((trouble.failure.clone(), Instant::now()));
        } else {
            *silence = FailureStreak::default();
        }
    }

    /// Why the upstream is down, if its last calls all failed.
    pub fn down(&self, upstream: Upstream) -> Option<Failure> {
        let silence = self.silence(upstream);
        let (failure, at) = silence.last.as_ref()?;
        (silence.calls >= DOWN_AFTER && at.elapsed() < FORGET_AFTER).then(|| failure.clone())
    }

    /// How fast to claim now.
    pub fn pace(&self, now: Instant) -> Pace {
        let slow = [Upstream::Supabase, Upstream::Mailgun].into_iter().any(|it| self.slows_down(it));
        let mut state = self.slow();
        if !slow {
            *state = SlowPace::default();
            return Pace::Free;
        }
        if state.next.is_none() {
            tracing::warn!("an upstream fails for several people in a row: claiming one job at a time");
            state.advance(now);
        }
        match state.next {
            Some(next) if next > now => Pace::Wait(next - now),
            _ => Pace::One,
        }
    }

    /// Whether this upstream is what slows claims down.
    pub fn slows_down(&self, upstream: Upstream) -> bool {
        self.silence(upstream).slows_down()
    }

    /// A job was let through at [`Pace::One`].
    pub fn let_through(&self, now: Instant) {
        self.slow().advance(now);
    }

    fn slow(&self) -> MutexGuard<'_, SlowPace> {
        self.slow.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self, upstream: Upstream) -> MutexGuard<'_, FailureStreak> {
        self.of(upstream).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> UpstreamFailure {
        UpstreamFailure {
            verdict: Verdict::Retry { not_before: None },
            failure: Failure::new("supabase_unavailable", "in trouble"),
            http_status: Some(503),
        }
    }

    #[test]
    fn failures_of_several_people_slow_claims_down_until_one_succeeds() {
        let watch = UpstreamHealth::default();
        let start = Instant::now();
        for person in ["a", "b", "c", "d", "e"] {
            assert_eq!(watch.pace(start), Pace::Free);
            watch.failed(Upstream::Supabase, &unavailable(), person);
        }
        let mut now = start;
        for seconds in [1, 2, 5, 10, 20, 30, 30] {
            assert_eq!(watch.pace(now), Pace::Wait(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds);
            assert_eq!(watch.pace(now), Pace::One);
            assert_eq!(watch.pace(now), Pace::One, "no job was there to be let through");
            watch.let_through(now);
        }
        watch.succeeded(Upstream::Supabase);
        assert_eq!(watch.pace(now), Pace::Free);
    }

    #[test]
    fn one_persons_failures_slow_nobody_down() {
        let watch = UpstreamHealth::default();
        for _ in 0..100 {
            watch.failed(Upstream::Mailgun, &unavailable(), "a");
            watch.failed(Upstream::Mailgun, &unavailable(), "b");
        }
        assert_eq!(watch.pace(Instant::now()), Pace::Free);
    }
}
