//! Classifies the responses from Supabase's `/verify` to requests with a token that no link has. Supabase redirects
//! such a request to the callback if its allow list accepts the callback, and otherwise to its SITE_URL. The fragment
//! of the redirect contains the error (Supabase: internal/api/verify.go; also observed). For the path of a link, a 404
//! means that no server serves the path. Any other response is `Unclear` and must not fail a job.

use reqwest::header::LOCATION;
use url::{Url, form_urlencoded};

use crate::upstream::http::UpstreamResponse;

/// Whether Supabase's redirect allow list accepts a callback URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedirectAnswer {
    /// The allow list accepts the callback URL, so links lead to it.
    Allowed,
    /// Supabase replaces the callback URL.
    Refused {
        /// The URL that Supabase uses instead.
        leads_to: String,
    },
    /// The response does not show whether the allow list accepts the callback URL.
    Unclear,
}

/// Whether a server serves the links' path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkPathAnswer {
    /// Supabase Auth serves the path.
    Served,
    /// The server responds with 404.
    NotFound,
    /// The response does not show whether the path is served.
    Unclear,
}

/// Classifies the response to a request that contains a callback URL.
#[must_use]
pub fn classify_redirect(response: &UpstreamResponse, callback_url: &str) -> RedirectAnswer {
    let Some(location) = response.header(LOCATION).filter(|_| response.status == 303) else {
        return RedirectAnswer::Unclear;
    };
    // Compare the whole URL, not a prefix: `https://portal.example.com.evil.example` starts with the portal's origin.
    if location == callback_url || location.strip_prefix(callback_url).is_some_and(|rest| rest.starts_with('#')) {
        return RedirectAnswer::Allowed;
    }
    let (Ok(callback), Ok(url)) = (Url::parse(callback_url), Url::parse(location)) else {
        return RedirectAnswer::Unclear;
    };
    // Supabase accepts every callback that has the same origin as its SITE_URL. So a redirect to the callback's own
    // origin leads to the callback in another notation, not to the SITE_URL.
    if !is_error_of_verify(&url) || url.origin() == callback.origin() {
        return RedirectAnswer::Unclear;
    }
    let leads_to = location.split('#').next().unwrap_or_default().to_owned();
    RedirectAnswer::Refused { leads_to }
}

/// Classifies the response to a request for a link's path.
#[must_use]
pub fn classify_link_path(response: &UpstreamResponse) -> LinkPathAnswer {
    match response.status {
        303 => LinkPathAnswer::Served,
        404 => LinkPathAnswer::NotFound,
        _ => LinkPathAnswer::Unclear,
    }
}

/// Whether Supabase Auth made this redirect. The fragment of its redirects contains the error code `otp_expired`. A
/// redirect by a gateway or a login page contains no such code.
fn is_error_of_verify(location: &Url) -> bool {
    let fragment = location.fragment().unwrap_or_default();
    form_urlencoded::parse(fragment.as_bytes()).any(|(name, value)| name == "error_code" && value == "otp_expired")
}
