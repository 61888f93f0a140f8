//! What an action leads to.

use crate::{
    protocol::{Action, Protocol},
    table::{ModelDecision, ModelEnd, ModelJob, ModelState},
    worker::{Adrift, ModelDelivery, ModelMail, ModelStep, ModelWorker},
    world::ModelWorld,
};

impl Protocol {
    pub(crate) fn happen(&self, world: &mut ModelWorld, action: Action) {
        match action {
            Action::Request => {
                world.accepted += 1;
                world.table.enqueue(&self.guards);
            }
            Action::PromoteDue => world.table.promote_due(),
            Action::Expire => world.table.expire(&self.guards),
            Action::LookForLost(lease) => world.rescue = Some(lease),
            Action::Rescue => {
                if let Some(lease) = world.rescue.take() {
                    world.write(lease, |table| table.rescue(lease, &self.guards));
                }
            }
            Action::Claim => self.claim(world),
            Action::LandAdrift(call) => land_adrift(world, call),
            Action::LeaseEnds(job) => lease_ends(world, job),
            Action::DeadlinePasses(job) => world.table.rows[job].overdue = true,
            Action::Go(lease)
            | Action::Land(lease)
            | Action::GiveUp(lease)
            | Action::Reject(lease)
            | Action::Renew(lease)
            | Action::Crash(lease)
            | Action::Freeze(lease)
            | Action::Thaw(lease) => {
                if let Some(mut delivery) = world.delivery(lease).cloned() {
                    let goes_on = self.deliver(world, &mut delivery, action);
                    world.replace(lease, if goes_on { ModelWorker::Busy(delivery) } else { ModelWorker::Idle });
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

    /// What one worker does or suffers; tells whether its delivery goes on.
    fn deliver(&self, world: &mut ModelWorld, delivery: &mut ModelDelivery, action: Action) -> bool {
        match action {
            Action::Go(_) => return self.go(world, delivery),
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

    /// The worker's next call or statement; tells whether its delivery goes on.
    fn go(&self, world: &mut ModelWorld, delivery: &mut ModelDelivery) -> bool {
        let (lease, guards) = (delivery.lease, &self.guards);
        match delivery.step {
            ModelStep::Ask => {
                delivery.step = ModelStep::Asking;
                return true;
            }
            ModelStep::Seal(link) => {
                let newer_waits = world.table.newer_waits(lease.job);
                let cleared = world.write(lease, |table| table.seal(lease, link, guards));
                world.seen.cleared_although_newer |= newer_waits && cleared == ModelDecision::Send;
                delivery.step = ModelStep::Send(link);
                return cleared == ModelDecision::Send;
            }
            ModelStep::RecordSent => world.write(lease, |table| table.finish(lease, ModelEnd::Sent, guards)),
            ModelStep::RecordFailed => world.write(lease, |table| table.finish(lease, ModelEnd::Failed, guards)),
            // With a delay. A hand-back has none: its job is queued at once, as if it fell due that moment.
            ModelStep::Requeue => world.write(lease, |table| table.requeue(lease, ModelState::Retrying, guards)),
            ModelStep::Asking | ModelStep::Send(_) => {}
        }
        false
    }

    /// A call under way goes on without its worker. Closing the connection cancels it: if calls may not land late, at
    /// once, so that it was carried out before or never is.
    fn abandon_call(&self, world: &mut ModelWorld, delivery: &ModelDelivery) {
        match delivery.call() {
            Some(Adrift::Ask(_)) if !self.calls_land_late => {}
            // A copy of a mail is the same mail.
            Some(Adrift::Send(mail)) if world.mails.contains(&mail) => {}
            call => world.adrift.extend(call),
        }
    }
}

fn land(world: &mut ModelWorld, delivery: &mut ModelDelivery) {
    match delivery.step {
        ModelStep::Asking => delivery.step = ModelStep::Seal(world.make_link(delivery.lease)),
        ModelStep::Send(link) => {
            world.mails.insert(ModelMail { job: delivery.lease.job, link });
            delivery.step = ModelStep::RecordSent;
        }
        _ => {}
    }
}

fn land_adrift(world: &mut ModelWorld, call: Adrift) {
    world.adrift.remove(&call);
    match call {
        Adrift::Ask(lease) => {
            world.make_link(lease);
        }
        Adrift::Send(mail) => {
            world.mails.insert(mail);
        }
    }
}

/// It ends by the holder's clock as well.
fn lease_ends(world: &mut ModelWorld, job: ModelJob) {
    world.table.rows[job].expired = true;
    for worker in &mut world.workers {
        if let ModelWorker::Busy(delivery) = worker {
            delivery.lapsed |= delivery.lease.job == job && world.table.is_held(delivery.lease);
        }
    }
}
