//! Finds the token in a mail's link.

use std::time::Duration;

use reqwest::{Client, header};
use url::Url;

use super::url::is_here;

const TIMEOUT: Duration = Duration::from_secs(5);
/// The query parameters that contain a token: `token_hash` in links to a portal's callback, `token` in links to
/// Supabase. `token_hash` comes first, because a callback may have a `token` parameter for another purpose.
const PARAMETERS: [&str; 2] = ["token_hash", "token"];

/// Returns the token hash in the link. If the link contains none and points to this machine, posts to the link, as the
/// button on the linked page does, and returns the token hash in the redirect. The redirect is not followed, so the
/// token is not used up.
pub(super) async fn find(client: &Client, link: &str) -> Option<String> {
    let link = Url::parse(link).ok()?;
    if let Some(token) = in_query(&link) {
        return Some(token);
    }
    if !is_here(&link) {
        return None;
    }
    let answer = client.post(link.clone()).timeout(TIMEOUT).send().await.ok()?;
    let location = answer.headers().get(header::LOCATION)?.to_str().ok()?;
    in_query(&link.join(location).ok()?)
}

fn in_query(url: &Url) -> Option<String> {
    let value_of = |name: &&str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    PARAMETERS.iter().find_map(value_of)
}
