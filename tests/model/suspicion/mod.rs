//! A small model of suspicion, checked exhaustively. Suspicion means that a call for a job was refused, and that it is
//! unknown whether the upstream refuses one recipient or everybody. The model has two workers; a few recipients, some
//! of whom a firewall refuses; one general fault, which may or may not affect the check call; calls in flight when the
//! fault begins or ends; and a refused recipient who makes another request.
//!
//! The model of the delivery protocol covers crashes, leases and mails, so this model leaves them out. Here, getting a
//! link counts as a success, and the worker that gets the link records the success and ends the job in one step. This
//! model also leaves out the waits between probes and between retries: a wait may end at any time. All refusals are of
//! the kind that a firewall sends (4xx).
//!
//! The protocol does not promise to distinguish an intermittent fault from a personal refusal. If a job is refused, a
//! call for another recipient succeeds, and the job is refused again, the job fails, even if the same unreliable
//! gateway caused all three results.

mod guards;
mod liveness;
mod promises;
mod protocol;
mod queue;
mod transitions;
mod upstream;
mod world;

use std::collections::BTreeSet;

use guards::SuspicionGuards;
use promises::{
    EXPIRED, FAILED_AS_PERSONAL, GIVEN_BACK, IS_REACHED, NOT_CLEARED_EARLY, NOT_RESUMED_EARLY, NOT_STOPPED_BY_FEW,
    NOT_STOPPED_LATE, ORDINARY_NOT_FAILED, ORDINARY_SENT, PROBED_IN_TURN, RESUMED_BY_CHECK, RESUMED_BY_JOB,
    STOPPED_BY_CHECK, STOPPED_BY_SUSPECTS,
};
use protocol::{General, SuspicionProtocol};
use stateright::{Checker as _, HasDiscoveries, Model as _};

/// A firewall refuses one recipient. During the general fault, a gateway refuses all calls that contain an address, but
/// not the check call.
const HIDDEN: SuspicionProtocol = SuspicionProtocol {
    guards: SuspicionGuards::ALL,
    recipients: 4,
    refused: 1,
    general: General::HiddenFromCheck,
    requests: 0,
    deadlines: 0,
};
/// A firewall refuses one recipient. During the general fault, the upstream refuses all calls, including the check
/// call.
const MET: SuspicionProtocol = SuspicionProtocol { recipients: 3, general: General::MetByCheck, ..HIDDEN };
/// A firewall refuses three recipients. There is no general fault.
const PERSONAL: SuspicionProtocol = SuspicionProtocol { refused: 3, general: General::Never, ..HIDDEN };
/// Like [`HIDDEN`], but with three recipients. The refused recipient can make another request, and one deadline can
/// pass.
const ASKS_AGAIN: SuspicionProtocol = SuspicionProtocol { recipients: 3, requests: 1, deadlines: 1, ..HIDDEN };

#[test]
fn a_general_fault_hidden_from_the_check_call_stops_the_upstream_and_fails_no_ordinary_job() {
    assert_holds(&HIDDEN, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL]);
}

#[test]
fn a_general_fault_that_affects_the_check_call_stops_the_upstream_and_fails_no_ordinary_job() {
    assert_holds(&MET, &[STOPPED_BY_CHECK, STOPPED_BY_SUSPECTS, RESUMED_BY_CHECK, RESUMED_BY_JOB]);
}

#[test]
fn if_only_single_recipients_are_refused_all_other_jobs_are_sent() {
    assert_holds(&PERSONAL, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL]);
}

#[test]
fn a_refused_recipient_who_asks_again_gets_no_extra_probe() {
    assert_holds(&ASKS_AGAIN, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL, EXPIRED]);
}

#[test]
fn if_probes_go_by_queue_order_a_refused_job_gets_every_probe() {
    let by_place = with(|guards| guards.probes_take_turns = false, &PERSONAL);
    assert_breaks(ORDINARY_SENT, &by_place);
    assert_breaks(PROBED_IN_TURN, &by_place);
}

#[test]
fn if_a_newer_request_does_not_inherit_probed_at_it_gets_an_extra_probe() {
    assert_breaks(PROBED_IN_TURN, &with(|guards| guards.newer_inherits = false, &ASKS_AGAIN));
}

#[test]
fn if_a_request_during_a_probe_does_not_inherit_from_the_running_job_it_gets_the_next_probe() {
    assert_breaks(PROBED_IN_TURN, &with(|guards| guards.newer_inherits_from_running = false, &ASKS_AGAIN));
}

#[test]
fn if_older_calls_may_clear_suspects_the_suspects_are_cleared_too_early() {
    assert_breaks(NOT_CLEARED_EARLY, &with(|guards| guards.clearing_call_began_later = false, &HIDDEN));
}

#[test]
fn if_older_calls_may_resume_an_upstream_it_is_resumed_too_early() {
    assert_breaks(NOT_RESUMED_EARLY, &with(|guards| guards.resuming_call_began_later = false, &HIDDEN));
}

#[test]
fn if_older_calls_may_stop_a_resumed_upstream_outdated_failures_stop_it_again() {
    assert_breaks(NOT_STOPPED_LATE, &with(|guards| guards.stopping_call_began_later = false, &MET));
}

#[test]
fn if_check_calls_may_end_a_stop_by_suspects_the_stop_ends_too_early() {
    assert_breaks(NOT_RESUMED_EARLY, &with(|guards| guards.check_resumes_its_own = false, &HIDDEN));
}

#[test]
fn if_failures_are_counted_instead_of_recipients_one_refused_job_stops_the_upstream() {
    assert_breaks(NOT_STOPPED_BY_FEW, &with(|guards| guards.suspects_are_distinct = false, &HIDDEN));
}

#[test]
fn if_a_second_refusal_is_enough_a_general_fault_fails_ordinary_jobs() {
    assert_breaks(ORDINARY_NOT_FAILED, &with(|guards| guards.success_since_refusal = false, &HIDDEN));
}

#[test]
fn if_the_success_may_come_after_the_refused_call_ordinary_jobs_fail_when_a_general_fault_ends() {
    assert_breaks(ORDINARY_NOT_FAILED, &with(|guards| guards.success_before_call = false, &HIDDEN));
}

#[test]
fn if_only_later_claims_get_their_attempt_back_the_first_suspect_loses_an_attempt() {
    assert_breaks(GIVEN_BACK, &with(|guards| guards.all_waiting_are_given_back = false, &HIDDEN));
}

#[test]
fn if_requeue_ignores_the_stop_a_job_loses_an_attempt() {
    assert_breaks(GIVEN_BACK, &with(|guards| guards.put_back_looks_at_stop = false, &HIDDEN));
}

/// Asserts that every promise holds and that the checker reaches the states in `reached`.
fn assert_holds(protocol: &SuspicionProtocol, reached: &[&'static str]) {
    let checker = protocol.clone().checker().spawn_bfs().join();
    for promise in protocol.properties().iter().map(|property| property.name) {
        if !IS_REACHED.contains(&promise) {
            checker.assert_no_discovery(promise);
        }
    }
    for moment in reached {
        checker.assert_any_discovery(moment);
    }
}

/// Returns the protocol with one safeguard turned off.
fn with(turn_off: fn(&mut SuspicionGuards), protocol: &SuspicionProtocol) -> SuspicionProtocol {
    let mut protocol = protocol.clone();
    turn_off(&mut protocol.guards);
    protocol
}

/// Asserts that the checker finds a run in which the weakened protocol breaks the promise.
fn assert_breaks(promise: &'static str, protocol: &SuspicionProtocol) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    protocol.clone().checker().finish_when(found).spawn_bfs().join().assert_any_discovery(promise);
}
