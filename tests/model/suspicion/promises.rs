//! The promises of the protocol, as predicates over a state.

use stateright::Property;

use super::{
    liveness,
    protocol::SuspicionProtocol,
    queue::QueuedState,
    upstream::{MAX_SUSPECTS, ModelStoppedBy},
    world::{GeneralFault, ModelResumedBy, SuspicionWorld},
};

pub(crate) const ORDINARY_SENT: &str = "while no fault lasts, ordinary recipients' jobs are sent after a few claims";
pub(crate) const ORDINARY_NOT_FAILED: &str = "no job of an ordinary recipient fails because of a general fault";
pub(crate) const NOT_STOPPED_BY_FEW: &str = "two refused recipients do not stop the upstream";
pub(crate) const NOT_RESUMED_EARLY: &str = "the upstream is not resumed while a general fault lasts";
pub(crate) const NOT_STOPPED_LATE: &str = "a call that began before the upstream was resumed does not stop it again";
pub(crate) const NOT_CLEARED_EARLY: &str = "a success does not clear suspects whose first call began later";
pub(crate) const PROBED_IN_TURN: &str = "no recipient is probed again before all others have been probed";
pub(crate) const GIVEN_BACK: &str =
    "while the upstream is stopped, no waiting job has lost its last attempt to the fault";

pub(crate) const STOPPED_BY_CHECK: &str = "a check call stops the upstream";
pub(crate) const STOPPED_BY_SUSPECTS: &str = "suspects stop the upstream";
pub(crate) const RESUMED_BY_CHECK: &str = "a check call resumes the upstream";
pub(crate) const RESUMED_BY_JOB: &str = "a job's success resumes the upstream";
pub(crate) const FAILED_AS_PERSONAL: &str = "a job fails because of a personal refusal";
pub(crate) const EXPIRED: &str = "a job expires";

/// These properties are not promises. They describe states that the checker must reach, because a model that does not
/// reach them would be too narrow to prove anything.
pub(crate) const IS_REACHED: [&str; 6] =
    [STOPPED_BY_CHECK, STOPPED_BY_SUSPECTS, RESUMED_BY_CHECK, RESUMED_BY_JOB, FAILED_AS_PERSONAL, EXPIRED];

pub(crate) fn all() -> Vec<Property<SuspicionProtocol>> {
    vec![
        Property::always(ORDINARY_SENT, liveness::ordinary_jobs_are_sent),
        Property::always(ORDINARY_NOT_FAILED, |protocol: &SuspicionProtocol, world: &SuspicionWorld| {
            !world.rows.iter().any(|row| row.state == QueuedState::Failed && !protocol.is_refused(row.recipient))
        }),
        Property::always(NOT_STOPPED_BY_FEW, |protocol: &SuspicionProtocol, world: &SuspicionWorld| {
            protocol.refused >= MAX_SUSPECTS || world.fault != GeneralFault::NotYet || world.upstream.stop.is_none()
        }),
        Property::always(NOT_RESUMED_EARLY, |_, world: &SuspicionWorld| !world.marks.resumed_too_early),
        Property::always(NOT_STOPPED_LATE, |_, world: &SuspicionWorld| !world.marks.stopped_too_late),
        Property::always(NOT_CLEARED_EARLY, |_, world: &SuspicionWorld| !world.marks.cleared_too_early),
        Property::always(PROBED_IN_TURN, |_, world: &SuspicionWorld| !world.marks.probed_out_of_turn),
        Property::always(GIVEN_BACK, |_, world: &SuspicionWorld| {
            world.upstream.stop.is_none() || world.rows.iter().all(|row| row.spent_at.is_none())
        }),
        Property::sometimes(STOPPED_BY_CHECK, |_, world| is_stopped(world, ModelStoppedBy::Check)),
        Property::sometimes(STOPPED_BY_SUSPECTS, |_, world| is_stopped(world, ModelStoppedBy::Suspects)),
        Property::sometimes(RESUMED_BY_CHECK, |_, world| was_resumed(world, ModelResumedBy::Check)),
        Property::sometimes(RESUMED_BY_JOB, |_, world| was_resumed(world, ModelResumedBy::Job)),
        Property::sometimes(FAILED_AS_PERSONAL, |_, world| has_ended(world, QueuedState::Failed)),
        Property::sometimes(EXPIRED, |_, world| has_ended(world, QueuedState::Expired)),
    ]
}

fn is_stopped(world: &SuspicionWorld, by: ModelStoppedBy) -> bool {
    world.upstream.stop.is_some_and(|stop| stop.by == by)
}

fn has_ended(world: &SuspicionWorld, state: QueuedState) -> bool {
    world.rows.iter().any(|row| row.state == state)
}

fn was_resumed(world: &SuspicionWorld, by: ModelResumedBy) -> bool {
    world.marks.just_resumed == Some(by)
}
