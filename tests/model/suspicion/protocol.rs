//! What can happen next. (What it leads to: `happen.rs`.)

use stateright::{Model, Property};

use super::{
    guards::SuspicionGuards,
    promises, queue,
    upstream::{ModelStop, ModelStoppedBy},
    world::{CallStep, GeneralFault, ModelCall, Recipient, SuspicionWorld},
};

#[derive(Clone, Debug)]
pub(crate) struct SuspicionProtocol {
    pub(crate) guards: SuspicionGuards,
    /// Number of recipients, each with a job at the start.
    pub(crate) recipients: usize,
    /// How many of them, from the first, a firewall refuses.
    pub(crate) refused: usize,
    /// Whether a general fault may begin.
    pub(crate) general: General,
    /// How often the first recipient may ask again.
    pub(crate) requests: u8,
    /// How many deadlines may pass.
    pub(crate) deadlines: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum General {
    Never,
    /// The check call fails too.
    MetByCheck,
    /// The check call passes all the same.
    HiddenFromCheck,
}

/// A call goes by its index among the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    FaultBegins,
    FaultEnds,
    /// `enqueue`, for the first recipient.
    Request,
    PromoteDue,
    /// `claim`, or `take_probe` and `claim_probe`; and the call begins.
    Claim,
    /// The upstream answers a call. If it refuses, a check call is made, or another one answers for it.
    Answer(usize),
    /// It refuses, and there is no turn for a check call.
    RefuseUnchecked(usize),
    /// The worker records what it has learnt: `stop`, `suspect`, `requeue`, `finish`, `record_success` with `resume`.
    Record(usize),
    /// It ends the job without recording the success, because it knows of no suspects.
    FinishOnly(usize),
    /// The regular check call is made. If it fails, the upstream is stopped at once. (A failure that is recorded late is
    /// that of a check call after a refusal.)
    Check,
    /// `resume` after the check call has passed. (A call that is answered late counts from its begin on as well.)
    CheckRecorded,
    /// A waiting job's deadline passes, and `expire` ends it.
    Expire(usize),
}

impl Model for SuspicionProtocol {
    type State = SuspicionWorld;
    type Action = Happening;

    fn init_states(&self) -> Vec<SuspicionWorld> {
        vec![SuspicionWorld::new(self.recipients, self.requests, self.deadlines)]
    }

    fn actions(&self, world: &SuspicionWorld, actions: &mut Vec<Happening>) {
        match world.fault {
            GeneralFault::NotYet if self.general != General::Never => actions.push(Happening::FaultBegins),
            GeneralFault::Lasts => actions.push(Happening::FaultEnds),
            GeneralFault::NotYet | GeneralFault::Over => {}
        }
        if world.requests > 0 && world.rows.iter().any(|row| row.recipient == 0 && row.is_open()) {
            actions.push(Happening::Request);
        }
        if world.rows.iter().any(|row| row.state == queue::QueuedState::Retrying) {
            actions.push(Happening::PromoteDue);
        }
        if world.calls.contains(&None) && queue::claimable(&world.rows).next().is_some() {
            actions.push(Happening::Claim);
        }
        for (index, call) in world.calls.iter().enumerate() {
            if let Some(call) = call {
                self.of_a_call(world, index, call, actions);
            }
        }
        actions.extend(self.of_the_check(world));
        if world.deadlines > 0 {
            let waiting = world.rows.iter().enumerate().filter(|(_, row)| row.is_waiting());
            actions.extend(waiting.map(|(job, _)| Happening::Expire(job)));
        }
    }

    fn next_state(&self, world: &SuspicionWorld, action: Happening) -> Option<SuspicionWorld> {
        let mut next = world.clone();
        self.happen(&mut next, action);
        next.normalize();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl SuspicionProtocol {
    pub(crate) fn is_refused(&self, recipient: Recipient) -> bool {
        recipient < self.refused
    }

    /// Whether a check call that is answered now fails.
    pub(crate) fn check_fails(&self, world: &SuspicionWorld) -> bool {
        world.fault == GeneralFault::Lasts && self.general == General::MetByCheck
    }

    fn of_a_call(&self, world: &SuspicionWorld, index: usize, call: &ModelCall, actions: &mut Vec<Happening>) {
        match call.step {
            CallStep::OnWire => {
                actions.push(Happening::Answer(index));
                // Otherwise it makes no difference.
                if self.check_fails(world) {
                    actions.push(Happening::RefuseUnchecked(index));
                }
            }
            CallStep::Succeeded => {
                actions.push(Happening::Record(index));
                // A worker that knows of suspects from its own calls records the success too.
                if !(call.is_probe || call.has_suspects) {
                    actions.push(Happening::FinishOnly(index));
                }
            }
            CallStep::Refused { .. } | CallStep::Personal => actions.push(Happening::Record(index)),
        }
    }

    fn of_the_check(&self, world: &SuspicionWorld) -> Option<Happening> {
        match world.passed_check {
            Some(_) => Some(Happening::CheckRecorded),
            None => self.check_matters(world).then_some(Happening::Check),
        }
    }

    /// Whether a check call that is made now may stop or resume the upstream.
    fn check_matters(&self, world: &SuspicionWorld) -> bool {
        let may_resume = |stop: ModelStop| stop.by == ModelStoppedBy::Check || !self.guards.check_resumes_its_own;
        self.check_fails(world) || world.upstream.stop.is_some_and(may_resume)
    }
}
