//! The actions that are possible in each state. `transitions.rs` implements their effects.

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
    /// Number of recipients. Each of them has a job at the start.
    pub(crate) recipients: usize,
    /// Number of recipients that a firewall refuses. The refused recipients come first.
    pub(crate) refused: usize,
    /// Whether a general fault can begin, and whether it also makes the check call fail.
    pub(crate) general: General,
    /// Number of additional requests that the first recipient can make.
    pub(crate) requests: u8,
    /// Number of deadlines that can pass.
    pub(crate) deadlines: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum General {
    Never,
    /// A general fault can begin, and it also makes the check call fail.
    MetByCheck,
    /// A general fault can begin, but the check call still succeeds.
    HiddenFromCheck,
}

/// An event in the model. An action identifies a call by the call's index, 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuspicionAction {
    FaultBegins,
    FaultEnds,
    /// `enqueue`, for the first recipient.
    Request,
    PromoteDue,
    /// `claim`, or `take_probe` and `claim_probe`. Then the call begins.
    Claim,
    /// The upstream answers a call. After a refusal, a check call is made, or the result of another check call is used.
    Answer(usize),
    /// The upstream refuses a call, and no check call is allowed yet.
    RefuseUnchecked(usize),
    /// The worker records the result with `stop`, `suspect`, `requeue`, `finish`, or `record_success` and `resume`.
    Record(usize),
    /// The worker ends the job without recording the success, because it has seen no suspects.
    FinishOnly(usize),
    /// The regular check call is made. If it fails, the upstream is stopped immediately. (`Answer` models the
    /// other case: a check call after a refusal fails, and `Record` stops the upstream only later.)
    Check,
    /// The worker calls `resume` after a successful check call. (However late the response arrives, `resume` uses the
    /// time at which the call started.)
    CheckRecorded,
    /// A waiting job's deadline passes, and `expire` ends it.
    Expire(usize),
}

impl Model for SuspicionProtocol {
    type State = SuspicionWorld;
    type Action = SuspicionAction;

    fn init_states(&self) -> Vec<SuspicionWorld> {
        vec![SuspicionWorld::new(self.recipients, self.requests, self.deadlines)]
    }

    fn actions(&self, world: &SuspicionWorld, actions: &mut Vec<SuspicionAction>) {
        match world.fault {
            GeneralFault::NotYet if self.general != General::Never => actions.push(SuspicionAction::FaultBegins),
            GeneralFault::Lasts => actions.push(SuspicionAction::FaultEnds),
            GeneralFault::NotYet | GeneralFault::Over => {}
        }
        if world.requests > 0 && world.rows.iter().any(|row| row.recipient == 0 && row.is_open()) {
            actions.push(SuspicionAction::Request);
        }
        if world.rows.iter().any(|row| row.state == queue::QueuedState::Retrying) {
            actions.push(SuspicionAction::PromoteDue);
        }
        if world.calls.contains(&None) && queue::claimable(&world.rows).next().is_some() {
            actions.push(SuspicionAction::Claim);
        }
        for (index, call) in world.calls.iter().enumerate() {
            if let Some(call) = call {
                self.call_actions(world, index, call, actions);
            }
        }
        actions.extend(self.check_action(world));
        if world.deadlines > 0 {
            let waiting = world.rows.iter().enumerate().filter(|(_, row)| row.is_waiting());
            actions.extend(waiting.map(|(job, _)| SuspicionAction::Expire(job)));
        }
    }

    fn next_state(&self, world: &SuspicionWorld, action: SuspicionAction) -> Option<SuspicionWorld> {
        let mut next = world.clone();
        self.apply(&mut next, action);
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

    /// Whether a check call would fail if the upstream answered it now.
    pub(crate) fn check_fails(&self, world: &SuspicionWorld) -> bool {
        world.fault == GeneralFault::Lasts && self.general == General::MetByCheck
    }

    fn call_actions(&self, world: &SuspicionWorld, index: usize, call: &ModelCall, actions: &mut Vec<SuspicionAction>) {
        match call.step {
            CallStep::OnWire => {
                actions.push(SuspicionAction::Answer(index));
                // If the check call would succeed, this action would have the same effect as `Answer`.
                if self.check_fails(world) {
                    actions.push(SuspicionAction::RefuseUnchecked(index));
                }
            }
            CallStep::Succeeded => {
                actions.push(SuspicionAction::Record(index));
                // The worker need not record the success if the call is not a probe and there were no suspects at the
                // time of the claim.
                if !(call.is_probe || call.has_suspects) {
                    actions.push(SuspicionAction::FinishOnly(index));
                }
            }
            CallStep::Refused { .. } | CallStep::Personal => actions.push(SuspicionAction::Record(index)),
        }
    }

    fn check_action(&self, world: &SuspicionWorld) -> Option<SuspicionAction> {
        match world.passed_check {
            Some(_) => Some(SuspicionAction::CheckRecorded),
            None => self.check_matters(world).then_some(SuspicionAction::Check),
        }
    }

    /// Whether a check call could stop or resume the upstream now.
    fn check_matters(&self, world: &SuspicionWorld) -> bool {
        let may_resume = |stop: ModelStop| stop.by == ModelStoppedBy::Check || !self.guards.check_resumes_its_own;
        self.check_fails(world) || world.upstream.stop.is_some_and(may_resume)
    }
}
