//! The page that is shown for a link whose callback is not on this machine. The page contains no token.

use super::{answer::AuthError, users::User};
use crate::html::escape;
use poem::{Response, http::StatusCode};

const PAGE: &str = include_str!("page.html");

/// Shows the outcome. The status is 200 if the link signed its user in, otherwise 403.
pub(super) fn show(outcome: &Result<User, AuthError>, redirect_to: &str) -> Response {
    let (status, name, title, what) = match outcome {
        Ok(user) => (
            StatusCode::OK,
            "signed_in",
            "Signed in",
            format!("{} is signed in. The link will not work again.", user.email),
        ),
        Err(error) => (StatusCode::FORBIDDEN, error.code, "This link did not sign you in", refusal(error)),
    };
    let page = PAGE
        .replace("{{outcome}}", name)
        .replace("{{title}}", title)
        .replace("{{what}}", &escape(&what))
        .replace("{{redirect_to}}", &escape(redirect_to));
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header("cache-control", "no-store")
        .header("referrer-policy", "no-referrer")
        .header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'")
        .body(page)
}

fn refusal(error: &AuthError) -> String {
    match error.code {
        "otp_expired" => "This link was already used, was replaced by a newer one or has expired (otp_expired). \
                          Use the newest mail: once you have signed in, older links no longer work."
            .to_owned(),
        code => format!("{} ({code}).", error.message),
    }
}
