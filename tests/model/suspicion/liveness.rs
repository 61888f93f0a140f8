//! Checks that ordinary people's jobs are sent once nothing goes wrong any more.

use super::{
    protocol::{SuspicionAction, SuspicionProtocol},
    queue::{self, QueuedState},
    upstream::ModelStoppedBy,
    world::{GeneralFault, SuspicionWorld},
};

/// Maximum number of claims, for each job in the model, until the jobs of all ordinary people are sent.
const CLAIMS_PER_JOB: usize = 2;

/// Whether all open jobs of ordinary people are sent after a few claims if, from now on, no fault begins, no request
/// arrives and no deadline passes. Checks only states without calls in flight, because a run reaches such a state from
/// every other state.
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

/// A worker claims a job and processes it to the end. No probe begins before the previous probe has ended.
fn claim_one(protocol: &SuspicionProtocol, world: &mut SuspicionWorld) {
    if world.upstream.stop.is_some_and(|stop| stop.by == ModelStoppedBy::Check) {
        for action in [SuspicionAction::Check, SuspicionAction::CheckRecorded] {
            protocol.apply(world, action);
        }
    }
    // A retry waits longer than it takes to claim the rest of the queue. While an upstream is stopped, retries become
    // due between probes.
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
