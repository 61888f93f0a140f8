//! People who keep requesting links.

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
/// Number of people who make requests especially often. They have the lowest numbers.
pub(crate) const FREQUENT: usize = 20;

/// Milliseconds between two requests. The average rate is 45 a second.
const INTERVAL_MS: std::ops::Range<u64> = 10..35;

pub(crate) fn address(person: usize) -> String {
    format!("person-{person}@example.com")
}

/// Gives most people an account. Each new link for a person with an account invalidates the previous link, whereas a
/// newcomer's first link stays valid. People with a hook fault get no account, because the hook fails only for
/// newcomers.
pub(crate) fn create_accounts(system: &TestSystem, run: &Run, personal: &PersonalFaults) {
    let mut rng = StdRng::seed_from_u64(run.seed);
    let settled = (0..PEOPLE).filter(|_| rng.random_bool(0.8)).map(address);
    for address in settled.filter(|address| personal.kind_of(address) != Some(PersonalKind::Hook)) {
        system.supabase.add_confirmed_user(&address);
    }
}

/// Sends requests to all apis in turn until the run's time is over, and waits for all responses.
pub(crate) async fn keep_asking(apis: Vec<String>, run: Run) -> Vec<AskedRequest> {
    let mut rng = StdRng::seed_from_u64(run.seed.wrapping_add(1));
    let client = sandbox::client().unwrap();
    let (mut asks, mut pages) = (JoinSet::new(), HashMap::new());
    let end = Instant::now() + run.time;
    for (number, api) in apis.iter().cycle().enumerate() {
        if Instant::now() > end {
            break;
        }
        let person = if rng.random_bool(0.3) { rng.random_range(0..FREQUENT) } else { rng.random_range(0..PEOPLE) };
        // Sometimes request the same page as last time, like a double click. Otherwise request a unique page, which
        // identifies the link.
        let page = *pages.get(&person).filter(|_| rng.random_bool(0.1)).unwrap_or(&number);
        pages.insert(person, page);
        asks.spawn(ask(client.clone(), api.clone(), address(person), page));
        sleep(Duration::from_millis(rng.random_range(INTERVAL_MS))).await;
    }
    asks.join_all().await
}

/// Makes another request for each person whom an upstream always refuses.
pub(crate) async fn ask_refused(api: &str, personal: &PersonalFaults) -> Vec<AskedRequest> {
    let refused = personal.permanent(&[PersonalKind::Firewall, PersonalKind::NotAuthorized]);
    let client = sandbox::client().unwrap();
    let asks =
        refused.into_iter().map(|recipient| ask(client.clone(), api.to_owned(), recipient.to_owned(), usize::MAX));
    futures_util::future::join_all(asks).await
}

/// Makes another request for a person without a personal fault. Each value of `times` requests a different
/// callback page, which no other function requests for this person.
pub(crate) async fn ask_ordinary(api: &str, personal: &PersonalFaults, times: usize) -> AskedRequest {
    let recipient = (0..PEOPLE).map(address).find(|address| personal.kind_of(address).is_none()).unwrap();
    ask(sandbox::client().unwrap(), api.to_owned(), recipient, usize::MAX - times).await
}
