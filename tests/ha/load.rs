//! The load: 120 requests per second, distributed over both apis.

use std::time::Duration;

use tests::{
    TestSystem,
    record::{AskedRequest, ask},
};
use tokio::{task::JoinSet, time::interval};

/// Number of requests per second.
pub(crate) const RATE: usize = 120;
/// One in this many requests is a recipient's second request, which is sent two seconds after the first.
const REPEATS: usize = 20;

/// A request, and the index of the api that it was sent to.
pub(crate) struct Asked {
    pub(crate) api: usize,
    pub(crate) request: AskedRequest,
}

/// Sends requests for `time`, and waits for all responses. Returns the requests in the order in which they were sent.
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

/// Returns the person's number and the page's number for a request. Most people send one request. Of the people who
/// send two, half repeat the first request, and half request a link to another page.
fn person_and_page(number: usize) -> (usize, usize) {
    // `REPEATS` is even, so the number of a second request is even. Subtracting an odd number gives an odd number, so
    // `first` is never itself a second request.
    let first = number.checked_sub(2 * RATE + 1);
    match first.filter(|_| number.is_multiple_of(REPEATS)) {
        Some(first) if number.is_multiple_of(2 * REPEATS) => (first, first),
        Some(first) => (first, number),
        None => (number, number),
    }
}

/// Returns the URLs at which the apis accept requests for links.
pub(crate) async fn urls(system: &TestSystem) -> Vec<String> {
    let mut urls = vec![];
    for api in &system.apis {
        urls.push(format!("http://{}/api/auth/send-magic-link", api.address().await.unwrap()));
    }
    urls
}
