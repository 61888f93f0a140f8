//! The load: 120 requests per second, distributed over both apis.

use std::time::Duration;

use tests::{
    TestSystem,
    record::{AskedRequest, ask},
};
use tokio::{task::JoinSet, time::interval};

/// Requests per second.
pub(crate) const RATE: usize = 120;
/// One in this many requests is a recipient's second request, two seconds after the first request.
const REPEATS: usize = 20;

/// A request, and the index of the api that it was sent to.
pub(crate) struct Asked {
    pub(crate) api: usize,
    pub(crate) request: AskedRequest,
}

/// Sends requests for this long, and waits for all answers. Returns them in the order of sending.
pub(crate) async fn keep_asking(apis: Vec<String>, run: &'static str, time: Duration) -> Vec<Asked> {
    let client = sandbox::client().unwrap();
    let mut pace = interval(Duration::from_secs(1) / u32::try_from(RATE).unwrap());
    let mut asks = JoinSet::new();
    let count = RATE * usize::try_from(time.as_secs()).unwrap();
    for number in 0..count {
        pace.tick().await;
        let (person, page) = person_and_page(number);
        let (client, api, url) = (client.clone(), number % apis.len(), apis[number % apis.len()].clone());
        let recipient = format!("{run}-{person}@example.com");
        asks.spawn(async move { Asked { api, request: ask(client, url, recipient, page).await } });
    }
    let mut asked = asks.join_all().await;
    asked.sort_by(|one, other| one.request.at.total_cmp(&other.request.at));
    asked
}

/// Most people send one request. Of the people who send two, half click twice, and the other half request another page.
fn person_and_page(number: usize) -> (usize, usize) {
    // The distance is odd, so that the first request was not itself a repeat.
    let first = number.checked_sub(2 * RATE + 1);
    match first.filter(|_| number.is_multiple_of(REPEATS)) {
        Some(first) if number.is_multiple_of(2 * REPEATS) => (first, first),
        Some(first) => (first, number),
        None => (number, number),
    }
}

/// The URL of each api for requesting a link.
pub(crate) async fn urls(system: &TestSystem) -> Vec<String> {
    let mut urls = vec![];
    for api in &system.apis {
        urls.push(format!("http://{}/api/auth/send-magic-link", api.address().await.unwrap()));
    }
    urls
}
