//! The steps of a scan, in order: find the link's token, request every URL on this machine three times with HEAD and
//! three times with GET, and let the browser visit the link. The result is final after the last step.

use std::time::SystemTime;

use reqwest::{Client, Method};

use super::{
    Scan, ScannedToken, Visit,
    fetch::{Fetch, fetch},
    token, url,
};
use crate::{mailgun::mail::Mail, supabase::LinkTokens};

const ROUNDS: usize = 3;

/// Requests the mail's URLs. `visits` is true if the browser visits the link afterwards.
pub(super) async fn begin(client: &Client, mail: &Mail, tokens: Option<&LinkTokens>, visits: bool) -> Scan {
    let token = find_token(client, mail, tokens).await;
    let fetches = open_all(client, &url::all(mail)).await;
    let visits = visits && url::first_here(mail).is_some();
    let mut scan = Scan {
        mail: mail.number,
        at: SystemTime::now(),
        fetches,
        visit: if visits { Visit::Pending } else { Visit::None },
        token,
    };
    check_token(&mut scan, tokens);
    scan
}

/// Records the outcome of the browser's visit, and checks again whether the link can still sign somebody in.
pub(super) fn finish(scan: &mut Scan, visit: Visit, tokens: Option<&LinkTokens>) {
    scan.visit = visit;
    check_token(scan, tokens);
}

async fn find_token(client: &Client, mail: &Mail, tokens: Option<&LinkTokens>) -> Option<ScannedToken> {
    let tokens = tokens?;
    let hash = token::find(client, mail.link()?).await?;
    let signs_in = tokens.signs_in(&hash);
    Some(ScannedToken { hash, signed_in_before: signs_in, signs_in_after: signs_in })
}

async fn open_all(client: &Client, urls: &[String]) -> Vec<Fetch> {
    let mut fetches = vec![];
    for _ in 0..ROUNDS {
        for url in urls {
            for method in [Method::HEAD, Method::GET] {
                fetches.push(fetch(client, method, url).await);
            }
        }
    }
    fetches
}

fn check_token(scan: &mut Scan, tokens: Option<&LinkTokens>) {
    if let Some((token, tokens)) = scan.token.as_mut().zip(tokens) {
        token.signs_in_after = tokens.signs_in(&token.hash);
    }
}
