//! A small model of the delivery protocol, checked exhaustively. It has one recipient, two requests, two workers that
//! crash, freeze and thaw, upstreams whose responses get lost, and an operator who cancels jobs. The model in
//! `suspicion` checks how workers react to an upstream that refuses calls.
//!
//! The newest mailed link works, with one exception: **Supabase carries out a `generate_link` call for a worker that no
//! longer holds the job.** Supabase checks no fencing token, so that call invalidates the newer link, which may have
//! been mailed. There are three ways in which this could happen. Safeguards prevent two of them, and a test
//! demonstrates each of the three.
//! - Possible: a call is in flight when its worker freezes, dies or gives up the call, and the call reaches Supabase
//!   after another worker's call. No worker can prevent that. (Supabase cancels a call whose connection is closed, and
//!   gives up after 10 s, so this happens only if a network or a proxy delays a request.)
//! - Prevented: a worker thaws after its lease has expired, and calls Supabase before it notices that the lease has
//!   expired (`clock_before_call`).
//! - Prevented: a rescue finds an expired lease, the worker thaws and renews the lease, and the rescue requeues the job
//!   anyway. The worker still believes that it holds the lease, and calls Supabase (`expired_lease_is_lost`).
//!
//! Assumptions: a sealed link can be opened and is young enough to be mailed again (`LINK_LIFETIME` is longer than
//! `JOB_DEADLINE`, and `LINK_SEALING_KEY` does not change while jobs are open). Otherwise, a retry creates a second
//! link and a second Message-Id. The model leaves out links that were used or requested elsewhere. It also leaves out a
//! new user's first link, which stays valid alongside the second link. In the model, each link invalidates the previous
//! link, which is the harder case. The outbox does not promise the order of mails: a thawed worker may send an older
//! job's mail after the newest mail. The link in the older job's mail then no longer works.

mod promises;
mod protocol;
mod run;
mod safeguards;
mod suspicion;
mod table;
mod transitions;
mod worker;
mod world;

use std::collections::BTreeSet;

use promises::{
    BUT_FOR_LATE_CALLS, CANCELLED_DOES_NOT_WAIT, CANCELLED_IS_NOT_MAILED, ENDED_HOLD_NO_LINK, GIVES_WAY,
    NEWEST_LINK_WORKS, NOT_FORGOTTEN, ONE_LINK, ONE_OF_EACH, STALE_CHANGES_NOTHING,
};
use protocol::Protocol;
use run::assert_every_run_ends;
use safeguards::Safeguards;
use stateright::{Checker as _, HasDiscoveries, Model as _};

// The promises also hold with one more fault in each protocol, but the check then takes minutes.
const AS_BUILT: Protocol = Protocol { guards: Safeguards::ALL, faults: 2, calls_land_late: true };
const IN_TIME: Protocol = Protocol { guards: Safeguards::ALL, faults: 3, calls_land_late: false };

#[test]
fn all_promises_hold_unless_a_generate_link_call_arrives_late() {
    let checker = AS_BUILT.checker().spawn_bfs().join();
    for promise in AS_BUILT.properties().iter().map(|property| property.name) {
        if promises::IS_REACHED.contains(&promise) {
            checker.assert_any_discovery(promise);
        } else if promise != NEWEST_LINK_WORKS {
            checker.assert_no_discovery(promise);
        }
    }
}

#[test]
fn the_newest_mailed_link_works_if_no_generate_link_call_arrives_late() {
    IN_TIME.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn every_run_terminates() {
    assert_every_run_ends(&AS_BUILT);
}

#[test]
fn a_generate_link_call_that_arrives_late_invalidates_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &Protocol { calls_land_late: true, ..IN_TIME });
}

#[test]
fn without_the_clock_check_a_thawed_worker_invalidates_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &with(|guards| guards.clock_before_call = false, IN_TIME));
}

#[test]
fn if_expired_leases_are_renewed_a_worker_invalidates_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &with(|guards| guards.expired_lease_is_lost = false, IN_TIME));
}

#[test]
fn without_the_fencing_token_a_stale_worker_writes() {
    let unfenced = with(|guards| guards.fence = false, AS_BUILT);
    assert_breaks(STALE_CHANGES_NOTHING, &unfenced);
    assert_breaks(BUT_FOR_LATE_CALLS, &unfenced);
}

#[test]
fn without_the_sealed_link_a_retry_invalidates_the_mailed_link() {
    let forgetful = with(|guards| guards.link_is_kept = false, AS_BUILT);
    assert_breaks(ONE_LINK, &forgetful);
    assert_breaks(BUT_FOR_LATE_CALLS, &forgetful);
}

#[test]
fn without_the_check_on_seal_an_outdated_mail_is_sent() {
    assert_breaks(GIVES_WAY, &with(|guards| guards.check_on_seal = false, AS_BUILT));
}

#[test]
fn without_the_check_on_requeue_two_jobs_wait() {
    assert_breaks(ONE_OF_EACH, &with(|guards| guards.check_on_requeue = false, AS_BUILT));
}

#[test]
fn without_the_rescue_a_crashed_workers_job_never_ends() {
    assert_breaks(NOT_FORGOTTEN, &with(|guards| guards.rescue = false, AS_BUILT));
}

#[test]
fn without_the_check_on_claim_two_jobs_run_and_invalidate_each_others_links() {
    let crowded = with(|guards| guards.one_running_per_recipient = false, IN_TIME);
    assert_breaks(ONE_OF_EACH, &crowded);
    assert_breaks(NEWEST_LINK_WORKS, &crowded);
}

#[test]
fn without_the_check_on_seal_a_mail_is_sent_for_a_cancelled_job() {
    assert_breaks(CANCELLED_IS_NOT_MAILED, &with(|guards| guards.cancelled_on_seal = false, AS_BUILT));
}

#[test]
fn without_the_check_on_requeue_a_cancelled_job_waits_again() {
    assert_breaks(CANCELLED_DOES_NOT_WAIT, &with(|guards| guards.cancelled_on_requeue = false, AS_BUILT));
}

#[test]
fn if_a_cancelled_running_job_ends_immediately_its_worker_invalidates_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &with(|guards| guards.cancel_only_marks = false, IN_TIME));
}

#[test]
fn without_link_erasure_ended_jobs_keep_their_links() {
    assert_breaks(ENDED_HOLD_NO_LINK, &with(|guards| guards.link_is_erased = false, AS_BUILT));
}

/// Returns the protocol with one safeguard turned off.
fn with(turn_off: fn(&mut Safeguards), mut protocol: Protocol) -> Protocol {
    turn_off(&mut protocol.guards);
    protocol
}

/// Asserts that the checker finds a run in which the weakened protocol breaks the promise.
fn assert_breaks(promise: &'static str, protocol: &Protocol) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    protocol.clone().checker().finish_when(found).spawn_bfs().join().assert_any_discovery(promise);
}
