//! Renders the confirm page in a given language. Errors are rendered as pages, too, and not as JSON, because people see
//! them in a browser.

use askama::Template;
use confirm::Content;
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use url::Url;
use words::Part;

use super::page_words::PageWords;
use crate::http::retry_after::RetryAfter;

/// The value is not `no-referrer`, because browsers would then send `Origin: null` with the page's own POST, and the
/// POST would be refused as foreign.
const PAGE_REFERRER_POLICY: HeaderValue = HeaderValue::from_static("same-origin");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_INDEX: HeaderValue = HeaderValue::from_static("noindex, nofollow");

#[derive(Template)]
#[template(path = "confirm/ready.html")]
struct ReadyTemplate<'a> {
    words: PageWords<'a>,
    has_address: bool,
    has_code: bool,
}

#[derive(Template)]
#[template(path = "confirm/problem.html")]
struct ProblemTemplate<'a> {
    words: PageWords<'a>,
    /// The message id of the heading.
    title: &'static str,
    /// The message id of the text.
    text: &'static str,
    sign_in: Option<&'a str>,
}

/// Why the page does not show the sign-in button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The link is incomplete, was altered, or belongs to another server.
    Unreadable,
    /// The link has expired. `portal` is the URL of the portal's start page.
    Expired { portal: String },
    /// The portal is no longer allowed.
    NotAllowed,
    /// Another site sent the POST.
    Foreign,
    /// Too many requests came from the person's network.
    Limited { retry_after: RetryAfter },
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable => StatusCode::NOT_FOUND,
            Self::Expired { .. } => StatusCode::GONE,
            Self::NotAllowed | Self::Foreign => StatusCode::FORBIDDEN,
            Self::Limited { .. } => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The value of the metric's `result` label.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Expired { .. } => "expired",
            Self::NotAllowed => "not_allowed",
            Self::Foreign => "foreign",
            Self::Limited { .. } => "limited",
        }
    }

    /// The message ids of the heading and of the text.
    fn messages(&self) -> (&'static str, &'static str) {
        match self {
            Self::Unreadable => ("confirm-unreadable-title", "confirm-unreadable-text"),
            Self::Expired { .. } => ("confirm-expired-title", "confirm-expired-text"),
            Self::NotAllowed => ("confirm-not-allowed-title", "confirm-not-allowed-text"),
            Self::Foreign => ("confirm-foreign-title", "confirm-foreign-text"),
            Self::Limited { .. } => ("confirm-limited-title", "confirm-limited-text"),
        }
    }
}

/// The page with the sign-in button.
pub(super) fn ready(words: PageWords<'_>, content: &Content) -> Response {
    let template = ReadyTemplate { words, has_address: content.recipient.is_some(), has_code: content.has_code };
    html(StatusCode::OK, &template, &form_targets(content))
}

/// A page that explains why there is no sign-in button.
pub(super) fn problem(words: PageWords<'_>, problem: &Problem) -> Response {
    let sign_in = match problem {
        Problem::Expired { portal } => Some(portal.as_str()),
        _ => None,
    };
    let (title, text) = problem.messages();
    let mut response = html(problem.status(), &ProblemTemplate { words, title, text, sign_in }, "");
    if let Problem::Limited { retry_after } = problem {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after.header_value());
    }
    response
}

/// Returns the origins for `form-action`: Supabase and the portal. Browsers also apply `form-action` to redirects, and
/// the POST is redirected first to Supabase and then to the portal.
fn form_targets(content: &Content) -> String {
    let origins = [&content.verify_url, &content.callback_url].into_iter().filter_map(|url| Url::parse(url).ok());
    origins.map(|url| format!(" {}", url.origin().ascii_serialization())).collect()
}

fn html(status: StatusCode, template: &impl Template, form_targets: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; base-uri 'none'; frame-ancestors \
         'none'; form-action 'self'{form_targets}"
    );
    let Ok(body) = template.render() else {
        return Response::builder().status(StatusCode::INTERNAL_SERVER_ERROR).finish();
    };
    Response::builder()
        .status(status)
        .content_type("text/html; charset=utf-8")
        .header(header::CONTENT_SECURITY_POLICY, policy)
        .header(header::REFERRER_POLICY, PAGE_REFERRER_POLICY)
        .header(header::CACHE_CONTROL, NO_STORE)
        .header(header::X_FRAME_OPTIONS, "DENY")
        .header("x-robots-tag", NO_INDEX)
        .header("cross-origin-opener-policy", "same-origin")
        .body(body)
}
