//! The actions that are possible in each state. `transitions.rs` implements their effects.

use stateright::{Model, Property};

use crate::{
    promises,
    safeguards::Safeguards,
    table::{ModelJob, ModelLease, ModelRow, ModelState},
    worker::{ModelDelivery, ModelStep, ModelWorker, OrphanedCall},
    world::ModelWorld,
};

/// The protocol for two requests for one recipient, two workers, and upstreams that fail.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) guards: Safeguards,
    /// Maximum number of faults: crashes, freezes, stops, lost responses, refusals, passed deadlines, and
    /// cancellations.
    pub(crate) faults: u8,
    /// Whether Supabase can carry out a call after its worker's lease has expired or after the worker has given up the
    /// call.
    pub(crate) calls_land_late: bool,
}

/// A step of the protocol, a fault, or an operator's action. An action identifies a delivery by its lease, which is
/// unique.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `enqueue`: a request is accepted.
    Request,
    /// `email_cancel_job`: an operator cancels a job.
    Cancel(ModelJob),
    /// `promote_due`.
    PromoteDue,
    /// `expire`.
    Expire,
    /// The first statement of `rescue`, which finds an expired lease.
    FindExpiredLease(ModelLease),
    /// The second statement of `rescue`. Any worker may run both statements and freeze between them. (If two workers
    /// run the second statement, the first run changes the token, so the second run changes nothing.)
    Rescue,
    /// `claim`. (A claim whose response is lost is equivalent to a claim followed by a crash.)
    Claim,
    /// The worker calls `generate_link`, or runs its next statement: `seal`, `finish` or `requeue`.
    Proceed(ModelLease),
    /// An upstream carries out the worker's call.
    Land(ModelLease),
    /// An upstream carries out a call that its worker no longer waits for.
    LandOrphaned(OrphanedCall),
    /// The worker gives up the job because the call times out, the response asks for a later retry, the worker is
    /// stopping, or the lease has been lost.
    GiveUp(ModelLease),
    /// An upstream refuses the job permanently.
    Reject(ModelLease),
    /// The worker runs `renew_leases` after a thaw.
    Renew(ModelLease),
    /// The worker dies and restarts. It has lost everything that was in its memory.
    Crash(ModelLease),
    /// The worker freezes.
    Freeze(ModelLease),
    /// The worker thaws and continues where it stopped, whatever has happened since.
    Thaw(ModelLease),
    /// A lease that nobody renews expires.
    LeaseEnds(ModelJob),
    /// A job's deadline passes.
    DeadlinePasses(ModelJob),
}

const REQUESTS: usize = 2;

impl Model for Protocol {
    type State = ModelWorld;
    type Action = Action;

    fn init_states(&self) -> Vec<ModelWorld> {
        vec![ModelWorld::new(self.faults)]
    }

    fn actions(&self, world: &ModelWorld, actions: &mut Vec<Action>) {
        self.table_actions(world, actions);
        for (job, row) in world.table.rows.iter().enumerate().filter(|(_, row)| row.is_open()) {
            self.row_actions(world, job, row, actions);
        }
        world.deliveries().for_each(|delivery| self.delivery_actions(world, delivery, actions));
        actions.extend(world.orphaned_calls.iter().copied().map(Action::LandOrphaned));
        actions.retain(|action| world.faults > 0 || !is_fault(world, *action));
    }

    fn next_state(&self, world: &ModelWorld, action: Action) -> Option<ModelWorld> {
        let mut next = world.clone();
        if is_fault(world, action) {
            next.faults = world.faults.checked_sub(1)?;
        }
        self.apply(&mut next, action);
        next.workers.sort();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl Protocol {
    fn table_actions(&self, world: &ModelWorld, actions: &mut Vec<Action>) {
        let rows = &world.table.rows;
        if world.accepted < REQUESTS {
            actions.push(Action::Request);
        }
        if rows.iter().any(|row| row.state == ModelState::Retrying) {
            actions.push(Action::PromoteDue);
        }
        if rows.iter().any(ModelRow::is_late) {
            actions.push(Action::Expire);
        }
        if world.rescue.is_some() {
            actions.push(Action::Rescue);
        }
        if world.workers.contains(&ModelWorker::Idle) && world.table.next(&self.guards).is_some() {
            actions.push(Action::Claim);
        }
    }

    fn row_actions(&self, world: &ModelWorld, job: ModelJob, row: &ModelRow, actions: &mut Vec<Action>) {
        if !row.overdue {
            actions.push(Action::DeadlinePasses(job));
        }
        if row.can_be_cancelled() {
            actions.push(Action::Cancel(job));
        }
        let Some(lease) = row.token.map(|token| ModelLease { job, token }) else { return };
        if row.expired && world.rescue.is_none() && self.guards.rescue {
            actions.push(Action::FindExpiredLease(lease));
        }
        if !row.expired && self.nobody_renews(world, lease) {
            actions.push(Action::LeaseEnds(job));
        }
    }

    fn delivery_actions(&self, world: &ModelWorld, delivery: &ModelDelivery, actions: &mut Vec<Action>) {
        let lease = delivery.lease;
        if delivery.call().is_some() {
            actions.push(Action::Land(lease));
        }
        if delivery.frozen {
            actions.push(Action::Thaw(lease));
            return;
        }
        if self.may_proceed(delivery) {
            actions.push(Action::Proceed(lease));
        }
        if delivery.lapsed && world.table.is_held(lease) && !self.guards.expired_lease_is_lost {
            actions.push(Action::Renew(lease));
        }
        if delivery.can_be_given_up() {
            actions.push(Action::GiveUp(lease));
        }
        if delivery.can_be_rejected() {
            actions.push(Action::Reject(lease));
        }
        actions.extend([Action::Crash(lease), Action::Freeze(lease)]);
    }

    fn may_proceed(&self, delivery: &ModelDelivery) -> bool {
        match delivery.step {
            ModelStep::GenerateLink => !(delivery.lapsed && self.guards.clock_before_call),
            // The call is in flight, so only the upstream can act.
            ModelStep::GeneratingLink | ModelStep::Send(_) => false,
            ModelStep::Seal(_) | ModelStep::RecordSent | ModelStep::RecordFailed | ModelStep::Requeue => true,
        }
    }

    /// A running worker renews its lease. A frozen worker does not renew it, and a crashed worker no longer has one.
    /// Unless the protocol allows late calls, a frozen worker's `generate_link` call ends before the lease expires, and
    /// a crashed worker's is cancelled.
    fn nobody_renews(&self, world: &ModelWorld, lease: ModelLease) -> bool {
        let over = |delivery: &ModelDelivery| self.calls_land_late || delivery.step != ModelStep::GeneratingLink;
        world.delivery(lease).is_none_or(|delivery| delivery.frozen && over(delivery))
    }
}

/// Returns whether an action counts as a fault. Giving up a job whose lease has expired or was lost is not a fault.
pub(crate) fn is_fault(world: &ModelWorld, action: Action) -> bool {
    match action {
        Action::Reject(_) | Action::Crash(_) | Action::Freeze(_) | Action::DeadlinePasses(_) | Action::Cancel(_) => {
            true
        }
        Action::GiveUp(lease) => {
            let lapsed = world.delivery(lease).is_some_and(|delivery| delivery.lapsed);
            !lapsed && world.table.is_held(lease)
        }
        _ => false,
    }
}
