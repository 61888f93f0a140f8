//! Chaos over the real programs: requests keep coming for 300 people while workers are killed, frozen and stopped,
//! both services fail in every way that they know, for everybody, for half of the people or for one person, and Postgres is
//! twice restarted as by a crash. Then everything is mended, the queue drains, and what the outbox promises is checked from the outside: from the answers at the api,
//! the tables, the mailbox, what reached the services, and the programs' logs.
//!
//! `CHAOS_SECONDS` sets how long (60), `CHAOS_SEED` repeats the requests and troubles of a run, though not how the
//! processes happen to interleave.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on panics, and says what it did")]

mod counts;
mod drain;
mod evidence;
mod faults;
mod gateway;
mod late_links;
mod logs;
mod overlaps;
mod people;
mod personal;
mod promises;
mod refusals;
mod run;
mod story;
mod trouble;

use evidence::Evidence;
use run::Run;
use tests::{Plan, TestSystem};
use trouble::Disturbance;

/// Stories told of a run that broke promises; the first tells enough.
const STORIES: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_killed_cut_or_slow_every_accepted_request_ends_as_promised() {
    let run = Run::from_environment();
    eprintln!("chaos: CHAOS_SEED={} CHAOS_SECONDS={}", run.seed, run.time.as_secs());
    let mut system = TestSystem::with(plan()).await;
    let mut trouble = Disturbance::begin(&system, &run);
    people::settle(&system, &run, &trouble.personal);

    let apis = apis(&system).await;
    let asks = tokio::spawn(people::keep_asking(apis.clone(), run));
    trouble.make(&mut system, run.time).await;
    let mut asked = asks.await.unwrap();
    trouble.mend(&system);
    drain::drain(&system, &trouble).await;
    asked.extend(drain::ask_last(&system, &trouble, &apis[0]).await);
    let mut broken = drain::stop(&system, &trouble).await;

    let evidence = Evidence::gather(&system, asked, trouble).await;
    broken.extend(promises::broken(&evidence));
    if run.time >= run::USUAL_TIME {
        broken.extend(evidence.unmet());
    }
    eprintln!("chaos: {}", evidence.counts());
    let stories = broken.iter().take(STORIES).map(|broken| story::of(broken, &evidence)).collect::<String>();
    assert!(broken.is_empty(), "{} promises broken (CHAOS_SEED={}):\n{stories}", broken.len(), run.seed);
}

/// Leases and time-outs as short as they may be, so that much goes wrong in a minute; no limit that would refuse.
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
