//! Faults that affect individual people: a firewall or Mailgun refuses their address, or a hook fails for them. Some
//! faults last for the whole run and the drain after it, others only for part of the run.

use std::{collections::HashSet, ops::Range};

use outbox::Upstream;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use sandbox::{Fault, Faults};
use tests::TestSystem;

use crate::{faults, people};

/// The kind of a personal fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PersonalKind {
    /// A firewall in front of Supabase refuses the address.
    Firewall,
    /// Mailgun refuses the address, because the person is not an authorized recipient.
    NotAuthorized,
    /// A Supabase hook fails for newcomers.
    Hook,
}

/// Number of people with each kind of fault. For every second person, the fault is permanent.
const COUNTS: [(PersonalKind, usize); 3] =
    [(PersonalKind::Firewall, 8), (PersonalKind::NotAuthorized, 6), (PersonalKind::Hook, 10)];
/// Number of people with each kind of fault who make requests often.
const FREQUENT: usize = 2;
/// The whole run and the drain (percentages of the run's duration).
const PERMANENT: Range<u32> = 0..u32::MAX;

#[derive(Debug)]
struct PersonalFault {
    recipient: String,
    kind: PersonalKind,
    /// The part of the run in which the fault is active (percentages of the run's duration).
    part: Range<u32>,
    fault: Fault,
    lasts: bool,
}

/// The people with a personal fault.
#[derive(Debug, Default)]
pub(crate) struct PersonalFaults(Vec<PersonalFault>);

impl PersonalFaults {
    pub(crate) fn choose(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed.wrapping_add(3));
        let mut shuffled = |people: Range<usize>| {
            let mut people: Vec<usize> = people.collect();
            people.shuffle(&mut rng);
            people.into_iter()
        };
        let mut frequent = shuffled(0..people::FREQUENT);
        let mut others = shuffled(people::FREQUENT..people::PEOPLE);
        let mut faults = vec![];
        for (kind, count) in COUNTS {
            let chosen = frequent.by_ref().take(FREQUENT).chain(others.by_ref().take(count - FREQUENT));
            for (number, person) in chosen.enumerate() {
                let part = if number % 2 == 0 { PERMANENT } else { rng.random_range(5..40)..rng.random_range(50..90) };
                let recipient = people::address(person);
                let fault = fault(kind, &mut rng).always().to(&recipient);
                faults.push(PersonalFault { recipient, kind, part, fault, lasts: false });
            }
        }
        Self(faults)
    }

    /// Begins the faults that are due, and ends the faults whose time is over.
    pub(crate) fn update(&mut self, system: &TestSystem, percent: u32) {
        for personal in &mut self.0 {
            let lasts = personal.part.contains(&percent);
            if lasts != personal.lasts {
                let service = faults_of(system, personal.kind.upstream());
                match lasts {
                    true => service.add(personal.fault.clone()),
                    false => service.retain(|fault| *fault != personal.fault),
                }
                personal.lasts = lasts;
            }
        }
    }

    /// Whether a fault is one of the current personal faults.
    pub(crate) fn is_personal(&self, fault: &Fault) -> bool {
        self.0.iter().any(|personal| personal.lasts && personal.fault == *fault)
    }

    pub(crate) fn is_permanent_fault(&self, fault: &Fault) -> bool {
        self.0.iter().any(|personal| personal.is_permanent() && personal.fault == *fault)
    }

    /// The kind of personal fault that a person has at some time during the run.
    pub(crate) fn kind_of(&self, recipient: &str) -> Option<PersonalKind> {
        self.0.iter().find(|personal| personal.recipient == recipient).map(|personal| personal.kind)
    }

    /// People with a permanent fault of one of these kinds.
    pub(crate) fn permanent(&self, kinds: &[PersonalKind]) -> HashSet<&str> {
        let chosen = self.0.iter().filter(|personal| personal.is_permanent() && kinds.contains(&personal.kind));
        chosen.map(|personal| personal.recipient.as_str()).collect()
    }
}

impl PersonalFault {
    fn is_permanent(&self) -> bool {
        self.part == PERMANENT
    }
}

impl PersonalKind {
    pub(crate) const ALL: [Self; 3] = [Self::Firewall, Self::NotAuthorized, Self::Hook];

    fn upstream(self) -> Upstream {
        match self {
            Self::Firewall | Self::Hook => Upstream::Supabase,
            Self::NotAuthorized => Upstream::Mailgun,
        }
    }
}

fn fault(kind: PersonalKind, rng: &mut StdRng) -> Fault {
    match kind {
        PersonalKind::Firewall => faults::firewall(rng),
        PersonalKind::NotAuthorized => faults::not_authorized(),
        PersonalKind::Hook => faults::hook(rng),
    }
}

pub(crate) fn faults_of(system: &TestSystem, upstream: Upstream) -> &Faults {
    match upstream {
        Upstream::Supabase => system.supabase.faults(),
        Upstream::Mailgun => system.mailgun.faults(),
    }
}
