//! The effect of each action.

use super::{
    protocol::{SuspicionAction, SuspicionProtocol},
    queue::{self, PutBack, QueuedState},
    upstream::{ModelStoppedBy, ModelSuspicion},
    world::{CallStep, GeneralFault, ModelCall, ModelResumedBy, SuspicionWorld, Time},
};

impl SuspicionProtocol {
    pub(crate) fn apply(&self, world: &mut SuspicionWorld, action: SuspicionAction) {
        world.marks.just_resumed = None;
        match action {
            SuspicionAction::FaultBegins => world.fault = GeneralFault::Lasts,
            SuspicionAction::FaultEnds => world.fault = GeneralFault::Over,
            SuspicionAction::Request => {
                world.requests -= 1;
                queue::enqueue(&mut world.rows, 0, &self.guards);
            }
            SuspicionAction::PromoteDue => queue::promote_due(&mut world.rows),
            SuspicionAction::Claim => self.claim(world),
            SuspicionAction::Answer(index)
            | SuspicionAction::RefuseUnchecked(index)
            | SuspicionAction::Record(index)
            | SuspicionAction::FinishOnly(index) => {
                if let Some(call) = world.calls[index].take() {
                    let next = self.next_step(world, call, action);
                    world.calls[index] = next.map(|step| ModelCall { step, ..call });
                }
            }
            SuspicionAction::Check if self.check_fails(world) => {
                let now = world.now();
                self.stop(world, ModelStoppedBy::Check, now);
            }
            SuspicionAction::Check => world.passed_check = Some(world.now()),
            SuspicionAction::CheckRecorded => self.record_check(world),
            SuspicionAction::Expire(job) => {
                world.deadlines -= 1;
                world.end(job, QueuedState::Expired);
            }
        }
    }

    fn claim(&self, world: &mut SuspicionWorld) {
        let is_probe = world.upstream.stop.is_some();
        let Some(job) = queue::next(&world.rows, is_probe, &self.guards) else { return };
        let claimed_at = world.now();
        if is_probe {
            mark_turn(world, job);
            world.last_probes[world.rows[job].recipient] = Some(claimed_at);
            world.rows[job].probed_at = Some(claimed_at);
        }
        let row = &mut world.rows[job];
        (row.state, row.spent_at) = (QueuedState::Running, None);
        let call = ModelCall {
            job,
            claimed_at,
            began_at: claimed_at + 1,
            is_probe,
            has_suspects: is_probe || !world.upstream.suspects.is_empty(),
            has_succeeded: world.upstream.has_succeeded_since(row.refused_at, &self.guards),
            step: CallStep::OnWire,
        };
        if let Some(free) = world.calls.iter_mut().find(|call| call.is_none()) {
            *free = Some(call);
        }
    }

    /// Returns the worker's next step for a call, or `None` if the worker is done with the job.
    fn next_step(&self, world: &mut SuspicionWorld, call: ModelCall, action: SuspicionAction) -> Option<CallStep> {
        let recipient = world.rows[call.job].recipient;
        match call.step {
            CallStep::OnWire => {
                let is_refused = world.fault == GeneralFault::Lasts || self.is_refused(recipient);
                let check_fails = self.check_fails(world) && matches!(action, SuspicionAction::Answer(_));
                let failed_check = check_fails.then(|| world.now().max(call.began_at + 1));
                Some(if is_refused { CallStep::Refused { failed_check } } else { CallStep::Succeeded })
            }
            CallStep::Refused { failed_check } => {
                let suspicion = match failed_check {
                    Some(_) => ModelSuspicion::Stops(ModelStoppedBy::Check),
                    None => world.upstream.suspect(recipient, call.began_at, &self.guards),
                };
                match suspicion {
                    ModelSuspicion::Personal => return Some(CallStep::Personal),
                    ModelSuspicion::IsStopped => {}
                    ModelSuspicion::Stops(by) => self.stop(world, by, failed_check.unwrap_or(call.began_at)),
                }
                // The refusal concerns all recipients, so the job waits for the next probe.
                let how = PutBack { spent_at: None, refused_at: None, has_delay: false };
                queue::put_back(&mut world.rows, call.job, how, &self.guards);
                None
            }
            CallStep::Succeeded => {
                world.end(call.job, QueuedState::Sent);
                if matches!(action, SuspicionAction::Record(_)) {
                    self.record_success(world, call);
                }
                None
            }
            CallStep::Personal => {
                self.retry_or_fail(world, call);
                None
            }
        }
    }

    fn retry_or_fail(&self, world: &mut SuspicionWorld, call: ModelCall) {
        let row = &world.rows[call.job];
        let has_succeeded = match self.guards.success_before_call {
            true => call.has_succeeded,
            false => world.upstream.has_succeeded_since(row.refused_at, &self.guards),
        };
        if has_succeeded && !call.is_probe {
            world.end(call.job, QueuedState::Failed);
            return;
        }
        let is_uncounted = call.is_probe || self.guards.put_back_looks_at_stop && world.upstream.stop.is_some();
        // The time of the claim matters only if a stop does not give every waiting job its attempt back. The attempts
        // of a refused recipient's job never matter.
        let claimed_at = if self.guards.all_waiting_are_given_back { 0 } else { call.claimed_at };
        let spent_at = Some(claimed_at).filter(|_| !is_uncounted && !self.is_refused(row.recipient));
        let how = PutBack { spent_at, refused_at: Some(world.now()), has_delay: true };
        queue::put_back(&mut world.rows, call.job, how, &self.guards);
    }

    fn stop(&self, world: &mut SuspicionWorld, by: ModelStoppedBy, began: Time) {
        let (now, suspected_since) = (world.now(), world.upstream.suspected_since);
        let is_late = world.upstream.resumed_at > Some(began);
        if world.upstream.stop(by, began, now, &self.guards) {
            world.marks.stopped_too_late |= is_late;
            queue::give_back(&mut world.rows, suspected_since, &self.guards);
        }
    }

    fn record_success(&self, world: &mut SuspicionWorld, call: ModelCall) {
        let suspected_since = world.upstream.suspected_since;
        let cleared = world.upstream.record_success(call.began_at, &self.guards);
        world.marks.cleared_too_early |= cleared && suspected_since > Some(call.began_at);
        if world.upstream.resume(call.began_at, false, &self.guards) {
            mark_resumed(world, ModelResumedBy::Job);
        }
    }

    fn record_check(&self, world: &mut SuspicionWorld) {
        let Some(began_at) = world.passed_check.take() else { return };
        if world.upstream.resume(began_at, true, &self.guards) {
            mark_resumed(world, ModelResumedBy::Check);
        }
    }
}

fn mark_resumed(world: &mut SuspicionWorld, by: ModelResumedBy) {
    world.marks.just_resumed = Some(by);
    world.marks.resumed_too_early |= world.fault == GeneralFault::Lasts;
}

/// Records whether another claimable job has waited longer for a probe.
fn mark_turn(world: &mut SuspicionWorld, job: usize) {
    let last = world.last_probes[world.rows[job].recipient];
    let is_behind = |recipient: usize| last > world.last_probes[recipient];
    world.marks.probed_out_of_turn |= queue::claimable(&world.rows).any(|(_, row)| is_behind(row.recipient));
}
