//! Checks that the jobs of ordinary recipients, whom no firewall refuses, are sent once no more faults occur.

use super::{
    protocol::{SuspicionAction, SuspicionProtocol},
    queue::{self, QueuedState},
    upstream::ModelStoppedBy,
    world::{GeneralFault, SuspicionWorld},
};

/// Number of claims, per job in the model, after which the jobs of all ordinary recipients must have been sent.
const CLAIMS_PER_JOB: usize = 2;

/// Returns whether all open jobs of ordinary recipients are sent after a few claims if, from now on, no fault begins,
/// no request arrives and no deadline passes. Returns true without a check while the fault lasts or a call is in
/// flight: each such state leads to a state without a fault and without calls in flight, which is checked.
pub(crate) fn ordinary_jobs_are_sent(protocol: &SuspicionProtocol, world: &SuspicionWorld) -> bool {
    let is_busy = world.calls.iter().any(Option::is_some) || world.passed_check.is_some();
    if world.fault == GeneralFault::Lasts || is_busy {
        return true;
    }
    let mut world = world.clone();
    for _ in 0..CLAIMS_PER_JOB * world.rows.len() {
        if !has_ordinary_job(protocol, &world) {
            return true;
        }
        claim_one(protocol, &mut world);
        world.normalize();
    }
    !has_ordinary_job(protocol, &world)
}

fn has_ordinary_job(protocol: &SuspicionProtocol, world: &SuspicionWorld) -> bool {
    world.rows.iter().any(|row| row.is_open() && !protocol.is_refused(row.recipient))
}

/// Lets a worker claim a job, make its call and record the result. No probe begins before the previous probe has ended.
fn claim_one(protocol: &SuspicionProtocol, world: &mut SuspicionWorld) {
    if world.upstream.stop.is_some_and(|stop| stop.by == ModelStoppedBy::Check) {
        for action in [SuspicionAction::Check, SuspicionAction::CheckRecorded] {
            protocol.apply(world, action);
        }
    }
    // A retry becomes due only after the rest of the queue has been claimed. While an upstream is stopped, however,
    // retries become due between probes.
    if world.upstream.stop.is_some() || !world.rows.iter().any(|row| row.state == QueuedState::Queued) {
        queue::promote_due(&mut world.rows);
    }
    protocol.apply(world, SuspicionAction::Claim);
    let Some(index) = world.calls.iter().position(Option::is_some) else { return };
    protocol.apply(world, SuspicionAction::Answer(index));
    while world.calls[index].is_some() {
        protocol.apply(world, SuspicionAction::Record(index));
    }
}
