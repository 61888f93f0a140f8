//! The people, who ask for links all the time, and what they are answered.

use std::{collections::HashMap, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tests::{
    TestSystem,
    record::{AskedRequest, ask},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    personal::{PersonalFaults, PersonalKind},
    run::Run,
};

pub(crate) const PEOPLE: usize = 300;
/// The first of them ask again and again.
pub(crate) const IMPATIENT: usize = 20;

/// Milliseconds between two requests: 45 a second on average.
const PACE: std::ops::Range<u64> = 10..35;

pub(crate) fn address(person: usize) -> String {
    format!("person-{person}@example.com")
}

/// Most people have an account: each of their links kills the one before, where a stranger's first one lives on.
/// A hook that fails for newcomers concerns none of them.
pub(crate) fn settle(system: &TestSystem, run: &Run, personal: &PersonalFaults) {
    let mut rng = StdRng::seed_from_u64(run.seed);
    let settled = (0..PEOPLE).filter(|_| rng.random_bool(0.8)).map(address);
    for address in settled.filter(|address| personal.kind_of(address) != Some(PersonalKind::Hook)) {
        system.supabase.add_confirmed_user(&address);
    }
}

/// Sends requests to all apis in turn until the time is over, and waits for the last answer.
pub(crate) async fn keep_asking(apis: Vec<String>, run: Run) -> Vec<AskedRequest> {
    let mut rng = StdRng::seed_from_u64(run.seed.wrapping_add(1));
    let client = sandbox::client().unwrap();
    let (mut asks, mut pages) = (JoinSet::new(), HashMap::new());
    let end = Instant::now() + run.time;
    for (number, api) in apis.iter().cycle().enumerate() {
        if Instant::now() > end {
            break;
        }
        let person = if rng.random_bool(0.3) { rng.random_range(0..IMPATIENT) } else { rng.random_range(0..PEOPLE) };
        // Now and then the same as last time, as a double click; else a page that no other request asks for, by
        // which its link is told from others.
        let page = *pages.get(&person).filter(|_| rng.random_bool(0.1)).unwrap_or(&number);
        pages.insert(person, page);
        asks.spawn(ask(client.clone(), api.clone(), address(person), page));
        sleep(Duration::from_millis(rng.random_range(PACE))).await;
    }
    asks.join_all().await
}

/// Somebody of whom nothing but good is known asks once more, for a page that nobody has asked for.
pub(crate) async fn ask_last(api: &str, personal: &PersonalFaults) -> AskedRequest {
    let recipient = (0..PEOPLE).map(address).find(|address| personal.kind_of(address).is_none()).unwrap();
    ask(sandbox::client().unwrap(), api.to_owned(), recipient, usize::MAX).await
}
