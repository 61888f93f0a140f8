//! The delivery protocol in small, checked in every state that it can reach: one recipient, two requests, two workers
//! that crash, freeze and thaw, services whose answers get lost. (What the workers make of a service that refuses:
//! `suspicion`.)
//!
//! The newest mailed link works, with one exception: **Supabase carries out a `generate_link` call for a worker that
//! no longer holds the job.** Supabase knows no fence, so that call kills the newer link, which may have been mailed.
//! One way leads there as built, and two more that safeguards close; a test shows each.
//! - A call is on the wire when its worker freezes, dies or gives it up, and arrives after another worker's call. No
//!   worker can prevent that. (Supabase cancels a call whose connection is closed, and gives one up after 10 s, so it
//!   takes a network or a proxy that holds a request back.)
//! - Closed: a worker thaws after its lease has run out and asks before it hears of that (`clock_before_call`).
//! - Closed: a rescue looks, the worker thaws and renews its lease, and the rescue takes the job all the same; the worker, sure
//!   of its lease, asks (`run_out_is_lost`).
//!
//! Taken for granted: a sealed link opens and is young enough to be mailed again (`LINK_LIFETIME` is longer than
//! `JOB_DEADLINE`, and `LINK_SEALING_KEY` does not change while jobs are open): otherwise a retry makes a second link
//! and a second Message-Id. Not looked at: a link that was used, or that the person asked for elsewhere. A new user's
//! first link outlives the second; here each link kills the one before, which is worse. Not promised: the order of
//! mails. One of an older job, from a worker that thaws, may come after the newest; its link is dead.

mod happen;
mod promises;
mod protocol;
mod run;
mod safeguards;
mod suspicion;
mod table;
mod worker;
mod world;

use std::collections::BTreeSet;

use promises::{
    BUT_FOR_LATE_CALLS, ENDED_HOLD_NO_LINK, GIVES_WAY, NEWEST_LINK_WORKS, NOT_FORGOTTEN, ONE_LINK, ONE_OF_EACH,
    STALE_CHANGES_NOTHING,
};
use protocol::Protocol;
use run::assert_every_run_ends;
use safeguards::Safeguards;
use stateright::{Checker as _, HasDiscoveries, Model as _};

// One fault more of each holds as well, and takes minutes.
const AS_BUILT: Protocol = Protocol { guards: Safeguards::ALL, faults: 2, calls_land_late: true };
const IN_TIME: Protocol = Protocol { guards: Safeguards::ALL, faults: 3, calls_land_late: false };

#[test]
fn whatever_fails_every_promise_holds_but_for_a_link_that_is_made_late() {
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
fn the_newest_mailed_link_works_if_no_link_is_made_late() {
    IN_TIME.checker().spawn_bfs().join().assert_properties();
}

#[test]
fn every_run_comes_to_an_end() {
    assert_every_run_ends(&AS_BUILT);
}

#[test]
fn a_call_on_the_wire_that_arrives_late_kills_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &Protocol { calls_land_late: true, ..IN_TIME });
}

#[test]
fn a_thawed_worker_that_does_not_look_at_its_clock_kills_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &with(|guards| guards.clock_before_call = false, IN_TIME));
}

#[test]
fn a_lease_that_is_renewed_after_its_end_lets_its_worker_kill_a_newer_link() {
    assert_breaks(NEWEST_LINK_WORKS, &with(|guards| guards.run_out_is_lost = false, IN_TIME));
}

#[test]
fn without_the_fence_a_stale_worker_writes() {
    let unfenced = with(|guards| guards.fence = false, AS_BUILT);
    assert_breaks(STALE_CHANGES_NOTHING, &unfenced);
    assert_breaks(BUT_FOR_LATE_CALLS, &unfenced);
}

#[test]
fn without_the_kept_link_a_retry_breaks_the_link_already_mailed() {
    let forgetful = with(|guards| guards.link_is_kept = false, AS_BUILT);
    assert_breaks(ONE_LINK, &forgetful);
    assert_breaks(BUT_FOR_LATE_CALLS, &forgetful);
}

#[test]
fn without_the_look_at_the_seal_an_outdated_mail_goes_out() {
    assert_breaks(GIVES_WAY, &with(|guards| guards.look_at_seal = false, AS_BUILT));
}

#[test]
fn without_the_check_on_requeue_two_jobs_wait() {
    assert_breaks(ONE_OF_EACH, &with(|guards| guards.check_on_requeue = false, AS_BUILT));
}

#[test]
fn without_the_rescue_a_crashed_workers_job_is_forgotten() {
    assert_breaks(NOT_FORGOTTEN, &with(|guards| guards.rescue = false, AS_BUILT));
}

#[test]
fn without_the_look_at_the_claim_two_jobs_run_and_kill_each_others_links() {
    let crowded = with(|guards| guards.one_runs = false, IN_TIME);
    assert_breaks(ONE_OF_EACH, &crowded);
    assert_breaks(NEWEST_LINK_WORKS, &crowded);
}

#[test]
fn without_the_erasure_ended_jobs_keep_their_link() {
    assert_breaks(ENDED_HOLD_NO_LINK, &with(|guards| guards.link_is_erased = false, AS_BUILT));
}

/// The protocol with a safeguard turned off.
fn with(turn_off: fn(&mut Safeguards), mut protocol: Protocol) -> Protocol {
    turn_off(&mut protocol.guards);
    protocol
}

/// The checker must find a run that breaks the promise, or it would not see a fault in the protocol either.
fn assert_breaks(promise: &'static str, protocol: &Protocol) {
    let found = HasDiscoveries::AnyOf(BTreeSet::from([promise]));
    protocol.clone().checker().finish_when(found).spawn_bfs().join().assert_any_discovery(promise);
}
