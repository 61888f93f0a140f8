//! What happens from a moment on if nothing more goes wrong.

use super::{
    protocol::{Happening, SuspicionProtocol},
    queue::{self, QueuedState},
    upstream::ModelStoppedBy,
    world::{GeneralFault, SuspicionWorld},
};

/// Claims until the jobs of ordinary people must be sent: each job is claimed twice.
const CLAIMS_PER_JOB: usize = 2;

/// Whether all open jobs of ordinary people are sent after a few claims if no fault begins, nobody asks and no deadline
/// passes any more. Looks only at moments without calls on the wire: all others lead to such moments.
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

/// A worker claims a job and goes on with it until it is done. No probe begins before the last one has ended.
fn claim_one(protocol: &SuspicionProtocol, world: &mut SuspicionWorld) {
    if world.upstream.stop.is_some_and(|stop| stop.by == ModelStoppedBy::Check) {
        for action in [Happening::Check, Happening::CheckRecorded] {
            protocol.happen(world, action);
        }
    }
    // Retries wait for longer than it takes to claim the rest of the queue, but not for ever while probes go on.
    if world.upstream.stop.is_some() || !world.rows.iter().any(|row| row.state == QueuedState::Queued) {
        queue::promote_due(&mut world.rows);
    }
    protocol.happen(world, Happening::Claim);
    let Some(index) = world.calls.iter().position(Option::is_some) else { return };
    protocol.happen(world, Happening::Answer(index));
    while world.calls[index].is_some() {
        protocol.happen(world, Happening::Record(index));
    }
}
