//! Calls Supabase's `/verify` with a token that no link has. The response shows how Supabase's settings affect a link.
//! The request has no side effects: it signs nobody in and invalidates no link.
//!
//! The requests carry no key. A link's token is a SHA-224 hash in 56 hexadecimal digits (observed), so neither of the
//! tokens below can belong to a link.

use std::time::Duration;

use reqwest::Client;
use url::Url;

use super::{
    http,
    verdict::verify::{LinkPathAnswer, RedirectAnswer, classify_link_path, classify_redirect},
};
use crate::settings::SupabaseClientSettings;

/// The two tokens differ, so that the two kinds of requests can be distinguished in Supabase's log.
const TOKEN_FOR_REDIRECTS: &str = "no-token-redirect-check";
const TOKEN_FOR_LINK_PATHS: &str = "no-token-link-path-check";

/// Maximum time for a request. The delivery waits for the response, and continues without it after this time.
const MAX_TIMEOUT: Duration = Duration::from_secs(3);

/// A client for one Supabase project. Its requests carry no key.
#[derive(Clone)]
pub(crate) struct VerifyClient {
    client: Client,
    endpoint: Url,
}

impl VerifyClient {
    /// Creates a client without calling Supabase. The timeout of each call is the shorter of `timeout` and
    /// [`MAX_TIMEOUT`].
    ///
    /// # Errors
    /// The HTTP client cannot be created.
    pub(crate) fn new(settings: &SupabaseClientSettings, timeout: Duration) -> anyhow::Result<Self> {
        Ok(Self {
            client: http::client(&settings.url, &settings.connection, timeout.min(MAX_TIMEOUT))?,
            endpoint: settings.url.join("auth/v1/verify")?,
        })
    }

    /// The address of `/verify` under `SUPABASE_URL`, to which links lead by default.
    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Asks Supabase whether links may lead to `callback_url`.
    pub(crate) async fn ask_redirect(&self, callback_url: &str) -> RedirectAnswer {
        let request = self.client.get(with_query(self.endpoint.clone(), TOKEN_FOR_REDIRECTS, callback_url));
        match http::call(request).await {
            Ok(response) => classify_redirect(&response, callback_url),
            Err(_) => RedirectAnswer::Unclear,
        }
    }

    /// Checks whether a server serves `link_path`, the origin and path of a link. Call this only with an origin that
    /// `LINK_ORIGINS` allows.
    pub(crate) async fn ask_link_path(&self, link_path: &Url, callback_url: &str) -> LinkPathAnswer {
        let request = self.client.get(with_query(link_path.clone(), TOKEN_FOR_LINK_PATHS, callback_url));
        match http::call(request).await {
            Ok(response) => classify_link_path(&response),
            Err(_) => LinkPathAnswer::Unclear,
        }
    }
}

/// Adds the query of a magic link, with the callback URL percent-encoded as the value of `redirect_to`.
fn with_query(mut url: Url, token: &str, callback_url: &str) -> Url {
    url.query_pairs_mut()
        .append_pair("token", token)
        .append_pair("type", "magiclink")
        .append_pair("redirect_to", callback_url);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callback_url_is_percent_encoded_into_one_parameter() {
        let url = "https://auth.example.com/auth/v1/verify".parse().unwrap();
        let callback_url = "https://portal.example.com/auth/callback?next=%2Fa.b%2Fc&lang=en#top";
        let asked = with_query(url, "no-token", callback_url);
        assert_eq!(
            asked.as_str(),
            "https://auth.example.com/auth/v1/verify?token=no-token&type=magiclink&redirect_to=\
             https%3A%2F%2Fportal.example.com%2Fauth%2Fcallback%3Fnext%3D%252Fa.b%252Fc%26lang%3Den%23top"
        );
        assert_eq!(asked.query_pairs().find(|(name, _)| name == "redirect_to").unwrap().1, callback_url);
    }

    #[test]
    fn the_check_tokens_cannot_belong_to_a_link() {
        for token in [TOKEN_FOR_REDIRECTS, TOKEN_FOR_LINK_PATHS] {
            assert!(token.len() != 56 && token.bytes().any(|byte| !byte.is_ascii_hexdigit()), "{token}");
        }
    }
}
