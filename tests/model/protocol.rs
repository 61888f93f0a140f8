//! What can happen next. (What it leads to: `happen.rs`.)

use stateright::{Model, Property};

use crate::{
    promises,
    safeguards::Safeguards,
    table::{ModelJob, ModelLease, ModelRow, ModelState},
    worker::{Adrift, ModelDelivery, ModelStep, ModelWorker},
    world::ModelWorld,
};

/// The protocol between two requests of one recipient, two workers, and services that fail.
#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) guards: Safeguards,
    /// Crashes, freezes, stops, lost or refusing answers and passed deadlines, all together.
    pub(crate) faults: u8,
    /// Whether Supabase may carry out a call after its worker's lease has run out, or after the worker gave it up.
    pub(crate) calls_land_late: bool,
}

/// A worker's delivery goes by its lease: no other has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `enqueue`: a request is accepted.
    Request,
    /// `promote_due`.
    PromoteDue,
    /// `expire`.
    Expire,
    /// The first statement of `rescue`: it sees that a lease has run out.
    LookForLost(ModelLease),
    /// Its second. Any worker may do both, and stand still between them. (Of two that do it at once, the one that is
    /// first changes the token under the other.)
    Rescue,
    /// `claim`. (One whose answer is lost is a claim and a crash.)
    Claim,
    /// The worker begins its call of `generate_link`, or runs its next statement: `seal`, `finish`, `requeue`.
    Go(ModelLease),
    /// An upstream carries out the worker's call.
    Land(ModelLease),
    /// An upstream carries out a call that nobody waits for.
    LandAdrift(Adrift),
    /// The worker gives the job up: no answer in time, one that says "later", a stop, or a lease that is lost.
    GiveUp(ModelLease),
    /// An upstream refuses the job for good.
    Reject(ModelLease),
    /// `renew_leases`, after a thaw.
    Renew(ModelLease),
    /// The worker dies and starts anew, with no memory.
    Crash(ModelLease),
    /// The worker stands still.
    Freeze(ModelLease),
    /// It goes on from where it stood, whatever has happened since.
    Thaw(ModelLease),
    /// A lease runs out that nobody renews.
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
        self.of_the_table(world, actions);
        for (job, row) in world.table.rows.iter().enumerate().filter(|(_, row)| row.is_open()) {
            self.of_a_row(world, job, row, actions);
        }
        world.deliveries().for_each(|delivery| self.of_a_delivery(world, delivery, actions));
        actions.extend(world.adrift.iter().copied().map(Action::LandAdrift));
        actions.retain(|action| world.faults > 0 || !is_fault(world, *action));
    }

    fn next_state(&self, world: &ModelWorld, action: Action) -> Option<ModelWorld> {
        let mut next = world.clone();
        if is_fault(world, action) {
            next.faults = world.faults.checked_sub(1)?;
        }
        self.happen(&mut next, action);
        next.workers.sort();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::all()
    }
}

impl Protocol {
    fn of_the_table(&self, world: &ModelWorld, actions: &mut Vec<Action>) {
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

    fn of_a_row(&self, world: &ModelWorld, job: ModelJob, row: &ModelRow, actions: &mut Vec<Action>) {
        if !row.overdue {
            actions.push(Action::DeadlinePasses(job));
        }
        let Some(lease) = row.token.map(|token| ModelLease { job, token }) else { return };
        if row.expired && world.rescue.is_none() && self.guards.rescue {
            actions.push(Action::LookForLost(lease));
        }
        if !row.expired && self.nobody_renews(world, lease) {
            actions.push(Action::LeaseEnds(job));
        }
    }

    fn of_a_delivery(&self, world: &ModelWorld, delivery: &ModelDelivery, actions: &mut Vec<Action>) {
        let lease = delivery.lease;
        if delivery.call().is_some() {
            actions.push(Action::Land(lease));
        }
        if delivery.frozen {
            actions.push(Action::Thaw(lease));
            return;
        }
        if self.may_go(delivery) {
            actions.push(Action::Go(lease));
        }
        if delivery.lapsed && world.table.is_held(lease) && !self.guards.run_out_is_lost {
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

    fn may_go(&self, delivery: &ModelDelivery) -> bool {
        match delivery.step {
            ModelStep::Ask => !(delivery.lapsed && self.guards.clock_before_call),
            // The upstream's turn.
            ModelStep::Asking | ModelStep::Send(_) => false,
            ModelStep::Seal(_) | ModelStep::RecordSent | ModelStep::RecordFailed | ModelStep::Requeue => true,
        }
    }

    /// A worker that runs renews its lease. One that stands still does not, and one that crashed has none; and their
    /// call is over before the lease is, unless calls may land late.
    fn nobody_renews(&self, world: &ModelWorld, lease: ModelLease) -> bool {
        let over = |delivery: &ModelDelivery| self.calls_land_late || delivery.step != ModelStep::Asking;
        world.delivery(lease).is_none_or(|delivery| delivery.frozen && over(delivery))
    }
}

/// Faults are counted. That a worker gives up a lease that has run out or is not its own any more is none.
pub(crate) fn is_fault(world: &ModelWorld, action: Action) -> bool {
    match action {
        Action::Reject(_) | Action::Crash(_) | Action::Freeze(_) | Action::DeadlinePasses(_) => true,
        Action::GiveUp(lease) => {
            let lapsed = world.delivery(lease).is_some_and(|delivery| delivery.lapsed);
            !lapsed && world.table.is_held(lease)
        }
        _ => false,
    }
}
