//! A small model of suspicion, checked exhaustively. Suspicion means that a call for a job was refused, and that it is
//! unknown whether the upstream refuses one recipient or everybody. The model has two workers; a few recipients, some
//! of whom a firewall refuses; one general fault, which the check call may or may not meet; calls in flight when the
//! fault begins or ends; and a refused recipient who makes another request.
//!
//! The model of the delivery protocol covers crashes, leases and mails, so this model leaves them out. Here, getting a
//! link counts as a success, and the worker that gets the link records the success and ends the job in one step. This
//! model also leaves out the waits between probes and between retries: a wait may end at any time. All refusals are of
//! the kind that a firewall sends (4xx).
//!
//! The protocol does not promise to distinguish an intermittent fault from a personal refusal. If a job is refused, a
//! call for another recipient succeeds, and the job is refused again, the job fails, even if the same unreliable
//! gateway caused all three answers.

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

/// A gateway refuses all calls with an address, but answers the check call.
const HIDDEN: SuspicionProtocol = SuspicionProtocol {
    guards: SuspicionGuards::ALL,
    recipients: 4,
    refused: 1,
    general: General::HiddenFromCheck,
    requests: 0,
    deadlines: 0,
};
/// The upstream refuses all calls, including the check call.
const MET: SuspicionProtocol = SuspicionProtocol { recipients: 3, general: General::MetByCheck, ..HIDDEN };
/// A firewall refuses three recipients, and there is no other fault.
const PERSONAL: SuspicionProtocol = SuspicionProtocol { refused: 3, general: General::Never, ..HIDDEN };
/// The refused recipient makes another request, and a deadline passes.
const ASKS_AGAIN: SuspicionProtocol = SuspicionProtocol { recipients: 3, requests: 1, deadlines: 1, ..HIDDEN };

#[test]
fn a_general_fault_hidden_from_the_check_call_stops_the_upstream_and_fails_no_job() {
    assert_holds(&HIDDEN, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL]);
}

#[test]
fn a_general_fault_that_the_check_call_meets_stops_the_upstream_and_fails_no_job() {
    assert_holds(&MET, &[STOPPED_BY_CHECK, STOPPED_BY_SUSPECTS, RESUMED_BY_CHECK, RESUMED_BY_JOB]);
}

#[test]
fn with_personal_faults_only_all_others_are_sent() {
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
fn without_inheriting_probed_at_asking_again_gets_an_extra_probe() {
    assert_breaks(PROBED_IN_TURN, &with(|guards| guards.newer_inherits = false, &ASKS_AGAIN));
}

#[test]
fn without_inheriting_from_a_running_job_asking_during_a_probe_gets_the_next_probe() {
    assert_breaks(PROBED_IN_TURN, &with(|guards| guards.newer_inherits_from_running = false, &ASKS_AGAIN));
}

#[test]
fn if_older_calls_may_clear_suspects_they_do_so_too_early() {
    assert_breaks(NOT_CLEARED_EARLY, &with(|guards| guards.clearing_call_began_later = false, &HIDDEN));
}

#[test]
fn if_older_calls_may_resume_an_upstream_they_do_so_too_early() {
    assert_breaks(NOT_RESUMED_EARLY, &with(|guards| guards.resuming_call_began_later = false, &HIDDEN));
}

#[test]
fn if_older_calls_may_stop_a_resumed_upstream_they_do_so_too_late() {
    assert_breaks(NOT_STOPPED_LATE, &with(|guards| guards.stopping_call_began_later = false, &MET));
}

#[test]
fn if_check_calls_may_end_a_stop_by_suspects_they_do_so_too_early() {
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
fn if_the_success_may_come_after_the_refused_call_the_end_of_a_general_fault_fails_ordinary_jobs() {
    assert_breaks(ORDINARY_NOT_FAILED, &with(|guards| guards.success_before_call = false, &HIDDEN));
}

#[test]
fn if_only_later_claims_get_their_attempt_back_the_first_suspect_loses_one() {
    assert_breaks(GIVEN_BACK, &with(|guards| guards.all_waiting_are_given_back = false, &HIDDEN));
}

#[test]
fn if_requeue_ignores_the_stop_a_job_loses_an_attempt() {
    assert_breaks(GIVEN_BACK, &with(|guards| guards.put_back_looks_at_stop = false, &HIDDEN));
}

/// Checks that every promise holds and that these states are reached.
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

/// The protocol with one safeguard turned off.
fn with(turn_off: fn(&mut SuspicionGuards), protocol: &SuspicionProtocol) -> SuspicionProtocol {
    let mut protocol = protocol.clone();
    turn_off(&mut protocol.guards);
    protocol
}

/// Checks that the checker finds a run that breaks the promise. Otherwise, the checker could not find a flaw in the
/// protocol either.
fn assert_breaks(promise: &'static str, protocol: &SuspicionProtocol) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    protocol.clone().checker().finish_when(found).spawn_bfs().join().assert_any_discovery(promise);
}
