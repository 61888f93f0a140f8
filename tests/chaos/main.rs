//! Chaos test with the real programs. 300 people keep requesting links while workers are killed, frozen and stopped,
//! both upstreams fail in every known way (for everybody, for half of the people or for one person), Postgres crashes
//! twice, and operators cancel jobs, retry jobs and pause mail. Then all faults end, except some that each affect one
//! person, and the queue drains. Finally, the promises of the outbox are checked from the outside: against the api's
//! responses, the tables, the mailbox, the upstreams' journals and the programs' logs.
//!
//! Unlike most tests, this one sleeps: faults and pauses last for random times, and no event marks their end.
//!
//! `CHAOS_SECONDS` sets the duration (default: 60). `CHAOS_SEED` repeats the requests and faults of a run, but not the
//! interleaving of the processes.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a panic fails the test; the test prints what it did")]

mod actions;
mod cancels;
mod counts;
mod drain;
mod evidence;
mod fault_injector;
mod faults;
mod gateway;
mod late_links;
mod logs;
mod operators;
mod overlaps;
mod pauses;
mod people;
mod personal;
mod promises;
mod refusals;
mod report;
mod retries;
mod run;

use evidence::Evidence;
use fault_injector::FaultInjector;
use run::Run;
use tests::{Plan, TestSystem};

/// Maximum number of broken promises that are reported in detail.
const MAX_REPORTS: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_accepted_request_ends_as_promised_whatever_fails() {
    let run = Run::from_environment();
    eprintln!("chaos: CHAOS_SEED={} CHAOS_SECONDS={}", run.seed, run.time.as_secs());
    let mut system = TestSystem::with(plan()).await;
    let mut injector = FaultInjector::begin(&system, &run);
    people::create_accounts(&system, &run, &injector.personal);

    let apis = apis(&system).await;
    let asks = tokio::spawn(people::keep_asking(apis.clone(), run));
    let operators = operators::begin(&system, run);
    injector.run(&mut system, run.time).await;
    let mut asked = asks.await.unwrap();
    let acts = operators.await.unwrap();
    injector.end_faults(&system);
    asked.extend(drain::drain(&system, &injector, &apis[0]).await);
    asked.extend(drain::ask_last(&system, &injector, &apis[0]).await);
    let mut broken = drain::stop(&system, &injector).await;

    let evidence = Evidence::gather(&system, asked, acts, injector).await;
    broken.extend(promises::broken(&evidence));
    if run.time >= run::USUAL_TIME {
        broken.extend(evidence.not_reached());
    }
    eprintln!("chaos: {}", evidence.counts());
    let reports = broken.iter().take(MAX_REPORTS).map(|broken| report::of(broken, &evidence)).collect::<String>();
    assert!(broken.is_empty(), "{} promises broken (CHAOS_SEED={}):\n{reports}", broken.len(), run.seed);
    // Allow open jobs here: the checks above have already verified that only certain jobs are open.
    system.finish_with_any_jobs();
}

/// Returns a plan with the shortest possible leases and timeouts, so that many faults take effect within a minute. The
/// rate limits are so high that none is reached.
fn plan() -> Plan {
    Plan { apis: 2, workers: 3, own_server: true, ..Plan::default() }
        .api("IP_RATE_LIMIT", "1000000/1m")
        .api("RECIPIENT_RATE_LIMIT", "1000000/15m")
        .api("RECIPIENT_CLIENT_RATE_LIMIT", "1000000/15m")
        .worker("LEASE_SECONDS", "5")
        .worker("UPSTREAM_TIMEOUT", "2s")
        .worker("SHUTDOWN_SECONDS", "2")
}

async fn apis(system: &TestSystem) -> Vec<String> {
    let mut apis = vec![];
    for api in &system.apis {
        apis.push(format!("http://{}/api/auth/send-magic-link", api.address().await.unwrap()));
    }
    apis
}
