//! Requests a URL and follows redirects to URLs on this machine.

use std::time::Duration;

use reqwest::{Client, Method, header};
use url::Url;

use super::url::is_here;

const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_REDIRECTS: usize = 5;

/// A request, and how it ended after the redirects were followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fetch {
    pub(super) url: String,
    pub(super) method: Method,
    /// The status of the first response, then of the response after each redirect.
    pub(super) statuses: Vec<u16>,
    pub(super) end: End,
}

/// Why a fetch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The last response is not a redirect.
    Answered,
    /// The URL or a redirect points to another machine, so it was not requested.
    NotHere,
    NoAnswer,
    TooManyRedirects,
}

impl Fetch {
    /// Whether the scanner sent a request.
    pub(super) fn has_opened(&self) -> bool {
        !self.statuses.is_empty() || self.end != End::NotHere
    }
}

/// Sends a request, and repeats it for each URL that a response redirects to.
pub(super) async fn fetch(client: &Client, method: Method, url: &str) -> Fetch {
    let mut statuses = vec![];
    let end = follow(client, &method, url, &mut statuses).await;
    Fetch { url: url.to_owned(), method, statuses, end }
}

async fn follow(client: &Client, method: &Method, url: &str, statuses: &mut Vec<u16>) -> End {
    let mut next = Url::parse(url).ok();
    while statuses.len() <= MAX_REDIRECTS {
        let Some(url) = next.filter(is_here) else { return End::NotHere };
        let answer = client.request(method.clone(), url.clone()).timeout(TIMEOUT).send().await;
        let Ok(answer) = answer else { return End::NoAnswer };
        statuses.push(answer.status().as_u16());
        let location = answer.headers().get(header::LOCATION).filter(|_| answer.status().is_redirection());
        let Some(location) = location else { return End::Answered };
        next = location.to_str().ok().and_then(|location| url.join(location).ok());
    }
    End::TooManyRedirects
}
