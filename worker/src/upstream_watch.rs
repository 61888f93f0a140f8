//! What this process has seen of its upstreams: whether they answer at all, and whether their breakers are open.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use outbox::{Failure, upstreams::Upstream};

use crate::verdict::{Trouble, Verdict};

/// So many calls in a row without a useful answer, and the upstream is called down.
const DOWN_AFTER: u32 = 3;

/// The state of both upstreams, as far as this process knows.
#[derive(Debug, Default)]
pub struct UpstreamWatch {
    supabase: Seen,
    mailgun: Seen,
}

#[derive(Debug, Default)]
struct Seen {
    breaker_open: AtomicBool,
    silence: Mutex<Silence>,
}

#[derive(Debug, Default)]
struct Silence {
    calls: u32,
    last: Option<Failure>,
}

impl UpstreamWatch {
    fn of(&self, upstream: Upstream) -> &Seen {
        match upstream {
            Upstream::Supabase => &self.supabase,
            Upstream::Mailgun => &self.mailgun,
        }
    }

    /// A call succeeded.
    pub fn succeeded(&self, upstream: Upstream) {
        *self.silence(upstream) = Silence::default();
    }

    /// A call did not: a network error or a 5xx counts towards being down, everything else is an answer.
    pub fn failed(&self, upstream: Upstream, trouble: &Trouble) {
        let mut silence = self.silence(upstream);
        let no_answer = trouble.http_status.is_none_or(|status| status >= 500);
        if no_answer && matches!(trouble.verdict, Verdict::Retry { .. } | Verdict::Unknown) {
            silence.calls += 1;
            silence.last = Some(trouble.failure.clone());
        } else {
            *silence = Silence::default();
        }
    }

    /// Why the upstream is down, if its last calls all failed.
    pub fn down(&self, upstream: Upstream) -> Option<Failure> {
        let silence = self.silence(upstream);
        if silence.calls >= DOWN_AFTER { silence.last.clone() } else { None }
    }

    /// Notes whether the breaker is open, as far as we know.
    pub fn set_breaker(&self, upstream: Upstream, open: bool) {
        self.of(upstream).breaker_open.store(open, Ordering::Relaxed);
    }

    /// Whether we believe the breaker to be open.
    pub fn breaker_open(&self, upstream: Upstream) -> bool {
        self.of(upstream).breaker_open.load(Ordering::Relaxed)
    }

    fn silence(&self, upstream: Upstream) -> std::sync::MutexGuard<'_, Silence> {
        self.of(upstream).silence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
