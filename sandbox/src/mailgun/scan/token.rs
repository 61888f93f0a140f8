//! Finds the token of a mail's link.

use std::time::Duration;

use reqwest::{Client, header};
use url::Url;

use super::url::is_here;

const TIMEOUT: Duration = Duration::from_secs(5);
/// The parameter of a callback that the portal verifies, and that of Supabase's link. The callback may have a parameter `token`
/// of its own.
const PARAMETERS: [&str; 2] = ["token_hash", "token"];

/// The token hash in the link, or, if the link has none, in the address that the button of the linked page leads to. Nothing
/// is spent: the button's answer is a redirect, which is not followed.
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
