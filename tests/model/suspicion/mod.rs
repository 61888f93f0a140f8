//! Suspicion in small: a call for a job is refused, and it is not known whether an upstream refuses one recipient or
//! everybody. Checked in every state that it can reach: two workers, a few recipients of whom a firewall refuses some, one
//! fault that concerns everybody and that the check call meets or does not meet, calls on the wire when it begins or ends,
//! a refused recipient who asks again.
//!
//! Left out, because the model of the delivery protocol has it: crashes, leases and the mail. A link is a success here, and
//! the worker that gets it records it and ends the job in one step. The waits between probes and retries are left out too:
//! any of them may be over at any time. All refusals are of the kind that a firewall gives (4xx).
//!
//! Not promised: that the protocol tells a fault that comes and goes from a personal refusal. A job that is refused, hears of
//! another's success and is refused again fails, even if all three came from one gateway that fails now and then.

mod calm;
mod guards;
mod happen;
mod promises;
mod protocol;
mod queue;
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

/// A gateway refuses all calls with an address, and answers the check call.
const HIDDEN: SuspicionProtocol = SuspicionProtocol {
    guards: SuspicionGuards::ALL,
    recipients: 4,
    refused: 1,
    general: General::HiddenFromCheck,
    requests: 0,
    deadlines: 0,
};
/// Nobody is answered, nor is the check call.
const MET: SuspicionProtocol = SuspicionProtocol { recipients: 3, general: General::MetByCheck, ..HIDDEN };
/// A firewall refuses three recipients, and nothing else is the matter.
const PERSONAL: SuspicionProtocol = SuspicionProtocol { refused: 3, general: General::Never, ..HIDDEN };
/// The refused recipient asks again, and a deadline passes.
const ASKS_AGAIN: SuspicionProtocol = SuspicionProtocol { recipients: 3, requests: 1, deadlines: 1, ..HIDDEN };

#[test]
fn a_fault_that_the_check_call_does_not_meet_stops_the_upstream_and_fails_nobody() {
    assert_holds(&HIDDEN, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL]);
}

#[test]
fn a_fault_that_the_check_call_meets_stops_the_upstream_and_fails_nobody() {
    assert_holds(&MET, &[STOPPED_BY_CHECK, STOPPED_BY_SUSPECTS, RESUMED_BY_CHECK, RESUMED_BY_JOB]);
}

#[test]
fn with_personal_faults_only_all_others_are_sent() {
    assert_holds(&PERSONAL, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL]);
}

#[test]
fn a_refused_recipient_who_asks_again_takes_nobodys_turn() {
    assert_holds(&ASKS_AGAIN, &[STOPPED_BY_SUSPECTS, RESUMED_BY_JOB, FAILED_AS_PERSONAL, EXPIRED]);
}

#[test]
fn if_probes_come_by_place_a_refused_job_is_every_probe() {
    let by_place = with(|guards| guards.probes_take_turns = false, &PERSONAL);
    assert_breaks(ORDINARY_SENT, &by_place);
    assert_breaks(PROBED_IN_TURN, &by_place);
}

#[test]
fn without_the_inherited_turn_asking_again_buys_a_probe() {
    assert_breaks(PROBED_IN_TURN, &with(|guards| guards.newer_inherits = false, &ASKS_AGAIN));
}

#[test]
fn without_the_turn_of_a_running_job_asking_during_a_probe_buys_the_next() {
    assert_breaks(PROBED_IN_TURN, &with(|guards| guards.newer_inherits_from_running = false, &ASKS_AGAIN));
}

#[test]
fn a_success_of_a_call_that_began_before_the_suspects_would_clear_them() {
    assert_breaks(NOT_CLEARED_EARLY, &with(|guards| guards.clearing_call_began_later = false, &HIDDEN));
}

#[test]
fn a_success_of_a_call_that_began_before_the_stop_would_resume_the_upstream() {
    assert_breaks(NOT_RESUMED_EARLY, &with(|guards| guards.resuming_call_began_later = false, &HIDDEN));
}

#[test]
fn a_failure_of_a_call_that_began_before_the_upstream_worked_again_would_stop_it() {
    assert_breaks(NOT_STOPPED_LATE, &with(|guards| guards.stopping_call_began_later = false, &MET));
}

#[test]
fn a_check_call_that_does_not_meet_the_fault_would_resume_what_suspects_have_stopped() {
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
fn if_only_later_claims_are_given_back_the_first_suspect_loses_an_attempt() {
    assert_breaks(GIVEN_BACK, &with(|guards| guards.all_waiting_are_given_back = false, &HIDDEN));
}

#[test]
fn a_job_that_is_put_back_right_after_the_stop_would_lose_an_attempt() {
    assert_breaks(GIVEN_BACK, &with(|guards| guards.put_back_looks_at_stop = false, &HIDDEN));
}

/// Every promise holds, and the interesting moments are reached.
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

/// The protocol with a safeguard turned off.
fn with(turn_off: fn(&mut SuspicionGuards), protocol: &SuspicionProtocol) -> SuspicionProtocol {
    let mut protocol = protocol.clone();
    turn_off(&mut protocol.guards);
    protocol
}

/// The checker must find a run that breaks the promise, or it would not see a fault in the protocol either.
fn assert_breaks(promise: &'static str, protocol: &SuspicionProtocol) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    protocol.clone().checker().finish_when(found).spawn_bfs().join().assert_any_discovery(promise);
}
