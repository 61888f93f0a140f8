//! For a while, a gateway in front of an upstream refuses calls: either all calls, including check calls, or only the
//! calls for half of the people, but no check calls.

use std::{collections::HashSet, ops::Range, time::Duration};

use outbox::Upstream;
use rand::{Rng as _, rngs::StdRng, seq::SliceRandom as _};
use sandbox::{Fault, FaultKind};
use tests::{TestSystem, record::now};
use tokio::time::{Instant, sleep};

use crate::{
    faults::{self, LONGEST_DELAY},
    people,
    personal::{PersonalFaults, faults_of},
};

/// Each fault: the part of the run in which it begins (percentages of the run's duration), its upstream, and whether it
/// affects only half of the people.
const PLAN: [(Range<u32>, Upstream, bool); 6] = [
    (6..12, Upstream::Supabase, false),
    (20..26, Upstream::Supabase, true),
    (34..40, Upstream::Mailgun, false),
    (48..54, Upstream::Mailgun, true),
    (62..68, Upstream::Supabase, false),
    (76..82, Upstream::Supabase, true),
];
/// How long a fault lasts, as a percentage of the run's duration.
const LENGTH: Range<u32> = 4..7;
/// For this many milliseconds before a fault begins, calls are delayed, so that some are in flight when it begins.
const BEFORE: u64 = 150;
/// Maximum number of calls that are delayed before a fault.
const HELD_UP: u32 = 10;

/// A past or current gateway fault.
#[derive(Clone, Debug)]
pub(crate) struct GatewayFault {
    pub(crate) upstream: Upstream,
    /// The recipients that the gateway refused. `None` if the gateway refused everybody.
    pub(crate) half: Option<HashSet<String>>,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl GatewayFault {
    /// Whether the fault was active at any time between `from` and `to`.
    pub(crate) fn lasted(&self, from: f64, to: f64) -> bool {
        self.from <= to && self.to >= from
    }

    pub(crate) fn refused(&self, recipient: &str) -> bool {
        self.half.as_ref().is_none_or(|half| half.contains(recipient))
    }
}

/// The gateway faults of a run, at most one at a time.
#[derive(Debug)]
pub(crate) struct Gateways {
    /// The faults that have not begun, in reverse order: the next fault is the last element.
    planned: Vec<(Duration, Duration, Upstream, bool)>,
    current: Option<(GatewayFault, Instant)>,
    pub(crate) past: Vec<GatewayFault>,
}

impl Gateways {
    pub(crate) fn plan(rng: &mut StdRng, time: Duration) -> Self {
        let mut percent = |part| time * rng.random_range(part) / 100;
        let planned = PLAN.map(|(part, upstream, is_half)| (percent(part), percent(LENGTH), upstream, is_half));
        Self { planned: planned.into_iter().rev().collect(), current: None, past: vec![] }
    }

    /// The upstream that has a gateway fault now.
    pub(crate) fn current(&self) -> Option<Upstream> {
        self.current.as_ref().map(|(fault, _)| fault.upstream)
    }

    pub(crate) fn end_if_over(&mut self, system: &TestSystem, personal: &PersonalFaults) {
        if self.current.as_ref().is_some_and(|(_, until)| *until <= Instant::now()) {
            self.end(system, personal);
        }
    }

    /// Begins the next fault if it is due. Returns whether a fault began.
    pub(crate) async fn begin_if_due(
        &mut self,
        system: &TestSystem,
        personal: &PersonalFaults,
        rng: &mut StdRng,
        since: Duration,
    ) -> bool {
        if self.current.is_some() {
            return false;
        }
        let Some((_, length, upstream, is_half)) = self.planned.pop_if(|(begin, ..)| *begin <= since) else {
            return false;
        };
        let half = is_half.then(|| half(rng));
        begin(system, personal, rng, upstream, half.as_ref()).await;
        let fault = GatewayFault { upstream, half, from: now(), to: f64::INFINITY };
        self.current = Some((fault, Instant::now() + length));
        true
    }

    pub(crate) fn end(&mut self, system: &TestSystem, personal: &PersonalFaults) {
        if let Some((fault, _)) = self.current.take() {
            faults_of(system, fault.upstream).retain(|fault| personal.is_personal(fault));
            self.past.push(GatewayFault { to: now(), ..fault });
        }
    }
}

/// Begins a fault. Removes all other faults of the upstream except the personal ones.
async fn begin(
    system: &TestSystem,
    personal: &PersonalFaults,
    rng: &mut StdRng,
    upstream: Upstream,
    half: Option<&HashSet<String>>,
) {
    let service = faults_of(system, upstream);
    service.retain(|fault| personal.is_personal(fault));
    service.add(Fault::from(FaultKind::Delay { millis: LONGEST_DELAY }).times(HELD_UP));
    sleep(Duration::from_millis(BEFORE)).await;
    service.retain(|fault| personal.is_personal(fault));
    let Some(half) = half else { return service.add(faults::gateway(rng).always()) };
    let fault = if upstream == Upstream::Mailgun { faults::not_authorized() } else { faults::firewall(rng) };
    half.iter().for_each(|recipient| service.add(fault.clone().always().to(recipient)));
}

fn half(rng: &mut StdRng) -> HashSet<String> {
    let mut people: Vec<usize> = (0..people::PEOPLE).collect();
    people.shuffle(rng);
    people.into_iter().take(people::PEOPLE / 2).map(people::address).collect()
}
