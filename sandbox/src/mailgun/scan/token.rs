//! Finds the token of a mail's link.

use std::time::Duration;

use reqwest::{Client, header};
use url::Url;

use super::url::is_here;

const TIMEOUT: Duration = Duration::from_secs(5);
/// The parameters that hold a token: `token_hash` in a callback that the portal verifies, `token` in Supabase's link.
/// `token_hash` comes first, because the callback may have its own parameter `token`.
const PARAMETERS: [&str; 2] = ["token_hash", "token"];

/// The token hash in the link, or, if the link has none, in the address to which the button of the linked page redirects. The
/// redirect is not followed, so the token is not used up.
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
