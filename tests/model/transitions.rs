//! The effect of each action.

use crate::{
    protocol::{Action, Protocol},
    table::{ModelDecision, ModelEnd, ModelJob, ModelState},
    worker::{ModelDelivery, ModelMail, ModelStep, ModelWorker, OrphanedCall},
    world::ModelWorld,
};

impl Protocol {
    pub(crate) fn apply(&self, world: &mut ModelWorld, action: Action) {
        match action {
            Action::Request => {
                world.accepted += 1;
                world.table.enqueue(&self.guards);
            }
            Action::Cancel(job) => world.table.cancel(job, &self.guards),
            Action::PromoteDue => world.table.promote_due(),
            Action::Expire => world.table.expire(&self.guards),
            Action::FindExpiredLease(lease) => world.rescue = Some(lease),
            Action::Rescue => {
                if let Some(lease) = world.rescue.take() {
                    world.write(lease, |table| table.rescue(lease, &self.guards));
                }
            }
            Action::Claim => self.claim(world),
            Action::LandOrphaned(call) => land_orphaned(world, call),
            Action::LeaseEnds(job) => lease_ends(world, job),
            Action::DeadlinePasses(job) => world.table.rows[job].overdue = true,
            Action::Proceed(lease)
            | Action::Land(lease)
            | Action::GiveUp(lease)
            | Action::Reject(lease)
            | Action::Renew(lease)
            | Action::Crash(lease)
            | Action::Freeze(lease)
            | Action::Thaw(lease) => {
                if let Some(mut delivery) = world.delivery(lease).cloned() {
                    let continues = self.deliver(world, &mut delivery, action);
                    world.replace(lease, if continues { ModelWorker::Busy(delivery) } else { ModelWorker::Idle });
                }
            }
        }
    }

    fn claim(&self, world: &mut ModelWorld) {
        let idle = world.workers.iter_mut().find(|worker| **worker == ModelWorker::Idle);
        if let Some(worker) = idle
            && let Some((lease, link)) = world.table.claim(&self.guards)
        {
            *worker = ModelWorker::begin(lease, link.filter(|_| self.guards.link_is_kept));
        }
    }

    /// Applies an action to a worker's delivery. Returns whether the delivery continues.
    fn deliver(&self, world: &mut ModelWorld, delivery: &mut ModelDelivery, action: Action) -> bool {
        match action {
            Action::Proceed(_) => return self.proceed(world, delivery),
            Action::Land(_) => land(world, delivery),
            Action::Reject(_) => delivery.step = ModelStep::RecordFailed,
            Action::Renew(_) => {
                world.write(delivery.lease, |table| table.renew(delivery.lease, &self.guards));
                delivery.lapsed = false;
            }
            Action::GiveUp(_) => {
                self.abandon_call(world, delivery);
                delivery.step = ModelStep::Requeue;
            }
            Action::Crash(_) => {
                self.abandon_call(world, delivery);
                return false;
            }
            Action::Freeze(_) => delivery.frozen = true,
            _ => delivery.frozen = false,
        }
        true
    }

    /// Makes the worker's next call or runs its next statement. Returns whether the delivery continues.
    fn proceed(&self, world: &mut ModelWorld, delivery: &mut ModelDelivery) -> bool {
        let (lease, guards) = (delivery.lease, &self.guards);
        match delivery.step {
            ModelStep::GenerateLink => {
                delivery.step = ModelStep::GeneratingLink;
                return true;
            }
            ModelStep::Seal(link) => {
                let newer_waits = world.table.newer_waits(lease.job);
                let cleared = world.write(lease, |table| table.seal(lease, link, guards));
                world.seen.cleared_despite_newer_request |= newer_waits && cleared == ModelDecision::Send;
                delivery.step = ModelStep::Send(link);
                return cleared == ModelDecision::Send;
            }
            ModelStep::RecordSent => world.write(lease, |table| table.finish(lease, ModelEnd::Sent, guards)),
            ModelStep::RecordFailed => world.write(lease, |table| table.finish(lease, ModelEnd::Failed, guards)),
            // A retried job waits for a delay. A job that is handed back has no delay, so the model treats it as a
            // retried job that is due immediately.
            ModelStep::Requeue => world.write(lease, |table| table.requeue(lease, ModelState::Retrying, guards)),
            ModelStep::GeneratingLink | ModelStep::Send(_) => {}
        }
        false
    }

    /// The worker abandons a call in flight. Mailgun may still carry out an abandoned call later. Supabase may do so
    /// only if `calls_land_late` is set. Otherwise, closing the connection cancels the call.
    fn abandon_call(&self, world: &mut ModelWorld, delivery: &ModelDelivery) {
        match delivery.call() {
            Some(OrphanedCall::GenerateLink(_)) if !self.calls_land_late => {}
            // Mailgun has already accepted the mail. In the model, a copy equals that mail, so carrying out the call
            // would change nothing.
            Some(OrphanedCall::Send(mail)) if world.mails.contains(&mail) => {}
            call => world.orphaned_calls.extend(call),
        }
    }
}

fn land(world: &mut ModelWorld, delivery: &mut ModelDelivery) {
    match delivery.step {
        ModelStep::GeneratingLink => delivery.step = ModelStep::Seal(world.make_link(delivery.lease)),
        ModelStep::Send(link) => {
            world.mails.insert(ModelMail { job: delivery.lease.job, link });
            delivery.step = ModelStep::RecordSent;
        }
        _ => {}
    }
}

fn land_orphaned(world: &mut ModelWorld, call: OrphanedCall) {
    world.orphaned_calls.remove(&call);
    match call {
        OrphanedCall::GenerateLink(lease) => {
            world.make_link(lease);
        }
        OrphanedCall::Send(mail) => {
            world.mails.insert(mail);
        }
    }
}

/// A lease expires, both in the table and by the clock of the worker that holds the lease.
fn lease_ends(world: &mut ModelWorld, job: ModelJob) {
    world.table.rows[job].expired = true;
    for worker in &mut world.workers {
        if let ModelWorker::Busy(delivery) = worker {
            delivery.lapsed |= delivery.lease.job == job && world.table.is_held(delivery.lease);
        }
    }
}
