//! The promises of the protocol, as predicates over a state.

use stateright::{Model as _, Property};

use crate::{
    protocol::{Action, Protocol, is_fault},
    table::{ModelEnd, ModelRow, ModelState},
    world::ModelWorld,
};

pub(crate) const NOT_FORGOTTEN: &str = "every accepted request has a job, which ends once no more faults occur";
pub(crate) const NEWEST_LINK_WORKS: &str = "the link mailed for the newest request works";
pub(crate) const BUT_FOR_LATE_CALLS: &str = "the newest link works unless Supabase carried out a late call";
pub(crate) const ONE_LINK: &str = "all mails for a job have the same link and Message-Id";
pub(crate) const STALE_CHANGES_NOTHING: &str = "a write with an old token changes nothing";
pub(crate) const ONE_OF_EACH: &str = "a recipient never has two running jobs or two waiting jobs";
pub(crate) const ENDED_HOLD_NO_LINK: &str = "a job that has ended contains no link";
pub(crate) const GIVES_WAY: &str = "no mail is cleared for sending while a newer request waits";
pub(crate) const CANCELLED_IS_NOT_MAILED: &str = "no mail is sent for a job that was cancelled while it ran";
pub(crate) const CANCELLED_DOES_NOT_WAIT: &str = "a job that was cancelled while it ran is not requeued";

const BOTH_SENT: &str = "a mail is sent for each of the two requests";
const FIRST_GAVE_WAY: &str = "a request is superseded after a link has been created";
const FAILED: &str = "a request fails";
const EXPIRED: &str = "a request expires";
const CANCELLED_BY_WORKER: &str = "a job that was cancelled while it ran ends as cancelled";

/// These properties are not promises. They describe states that the checker must reach, because a model that does not
/// reach them would be too narrow to prove anything.
pub(crate) const IS_REACHED: [&str; 5] = [BOTH_SENT, FIRST_GAVE_WAY, FAILED, EXPIRED, CANCELLED_BY_WORKER];

pub(crate) fn all() -> Vec<Property<Protocol>> {
    vec![
        Property::always(NOT_FORGOTTEN, not_forgotten),
        Property::always(NEWEST_LINK_WORKS, |_, world| newest_link_works(world)),
        Property::always(BUT_FOR_LATE_CALLS, |_, world: &ModelWorld| world.seen.late_link || newest_link_works(world)),
        Property::always(ONE_LINK, |_, world| one_link(world)),
        Property::always(STALE_CHANGES_NOTHING, |_, world: &ModelWorld| !world.seen.stale_write),
        Property::always(ONE_OF_EACH, |_, world| one_of_each(world)),
        Property::always(ENDED_HOLD_NO_LINK, |_, world: &ModelWorld| {
            world.table.rows.iter().all(|row| row.is_open() || row.link.is_none())
        }),
        Property::always(GIVES_WAY, |_, world: &ModelWorld| !world.seen.cleared_despite_newer_request),
        Property::always(CANCELLED_IS_NOT_MAILED, |_, world: &ModelWorld| {
            world.mails.iter().all(|mail| !world.table.rows[mail.job].cancelled)
        }),
        Property::always(CANCELLED_DOES_NOT_WAIT, |_, world: &ModelWorld| {
            !world.table.rows.iter().any(|row| row.is_waiting() && row.cancelled)
        }),
        Property::sometimes(BOTH_SENT, |_, world: &ModelWorld| {
            world.accepted == 2 && world.table.rows.iter().all(|row| row.state == ModelState::Ended(ModelEnd::Sent))
        }),
        Property::sometimes(FIRST_GAVE_WAY, |_, world: &ModelWorld| {
            world.links > 0 && has_ended(world, ModelEnd::Superseded)
        }),
        Property::sometimes(FAILED, |_, world| has_ended(world, ModelEnd::Failed)),
        Property::sometimes(EXPIRED, |_, world| has_ended(world, ModelEnd::Expired)),
        Property::sometimes(CANCELLED_BY_WORKER, |_, world: &ModelWorld| {
            world.table.rows.iter().any(|row| row.cancelled && row.state == ModelState::Ended(ModelEnd::Cancelled))
        }),
    ]
}

fn has_ended(world: &ModelWorld, end: ModelEnd) -> bool {
    world.table.rows.iter().any(|row| row.state == ModelState::Ended(end))
}

/// Every accepted request must have a job. A run can stay forever in a state in which only faults, requests or optional
/// actions are possible. The optional actions are the thaw of a frozen worker and the arrival of an orphaned call. In
/// such a state, every job must have ended unless both workers are frozen.
fn not_forgotten(protocol: &Protocol, world: &ModelWorld) -> bool {
    let all_there = world.table.rows.len() == world.accepted;
    let all_ended = !world.table.rows.iter().any(ModelRow::is_open);
    all_there && (all_ended || both_frozen(world) || can_continue(protocol, world))
}

fn both_frozen(world: &ModelWorld) -> bool {
    world.deliveries().filter(|delivery| delivery.frozen).count() == world.workers.len()
}

fn can_continue(protocol: &Protocol, world: &ModelWorld) -> bool {
    let mut actions = Vec::new();
    protocol.actions(world, &mut actions);
    actions.into_iter().any(|action| match action {
        Action::Request | Action::Thaw(_) | Action::LandOrphaned(_) => false,
        // Unless the protocol allows late calls, the upstream is certain to carry out even a frozen worker's call.
        Action::Land(lease) => !protocol.calls_land_late || world.delivery(lease).is_some_and(|it| !it.frozen),
        action => !is_fault(world, action),
    })
}

/// All mails for the newest request contain the valid link. If the job ended as sent, there is at least one such mail.
fn newest_link_works(world: &ModelWorld) -> bool {
    let Some(newest) = world.accepted.checked_sub(1) else { return true };
    let mut mails = world.mails.iter().filter(|mail| mail.job == newest).peekable();
    let was_sent = world.table.rows[newest].state == ModelState::Ended(ModelEnd::Sent);
    (mails.peek().is_some() || !was_sent) && mails.all(|mail| mail.link.number == world.links)
}

fn one_link(world: &ModelWorld) -> bool {
    world.mails.iter().all(|one| world.mails.iter().all(|other| one.job != other.job || one.link == other.link))
}

fn one_of_each(world: &ModelWorld) -> bool {
    let count = |is: fn(&ModelRow) -> bool| world.table.rows.iter().filter(|row| is(row)).count();
    count(|row| row.state == ModelState::Running) <= 1 && count(ModelRow::is_waiting) <= 1
}
