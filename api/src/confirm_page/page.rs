//! Renders the page. Every answer below `/auth/confirm/` is made here, errors too: people read them in a browser.

use askama::Template;
use confirm::Content;
use poem::{
    Response,
    http::{HeaderValue, StatusCode, header},
};
use url::Url;

use crate::http::retry_after::RetryAfter;

/// `same-origin`, because with `no-referrer` a browser sends `Origin: null` with the page's own POST.
const PAGE_REFERRER_POLICY: HeaderValue = HeaderValue::from_static("same-origin");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_INDEX: HeaderValue = HeaderValue::from_static("noindex, nofollow");

#[derive(Template)]
#[template(path = "confirm/ready.html")]
struct ReadyTemplate<'a> {
    portal: &'a str,
    recipient: Option<&'a str>,
    has_code: bool,
}

#[derive(Template)]
#[template(path = "confirm/problem.html")]
struct ProblemTemplate<'a> {
    title: &'a str,
    text: &'a str,
    sign_in: Option<&'a str>,
}

/// Why there is no button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The link was cut off or changed, or belongs to another server.
    Unreadable,
    /// The link has expired. The address leads to the portal.
    Expired { portal: String },
    /// The portal is not allowed any more.
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

    /// The value of the metric's label `result`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Expired { .. } => "expired",
            Self::NotAllowed => "not_allowed",
            Self::Foreign => "foreign",
            Self::Limited { .. } => "limited",
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Unreadable => "This link is incomplete",
            Self::Expired { .. } => "This link has expired",
            Self::NotAllowed => "This link cannot be used",
            Self::Foreign => "Please open the link from your mail",
            Self::Limited { .. } => "Too many requests",
        }
    }

    fn text(&self) -> &'static str {
        match self {
            Self::Unreadable => {
                "A part of it may have been lost on the way. Open it from the mail again, or copy the whole link into your \
                 browser. If that does not help, ask for a new link."
            }
            Self::Expired { .. } => "Ask for a new one, and use the newest mail.",
            Self::NotAllowed => "The portal that it leads to has moved. Go to the portal, and ask for a new link.",
            Self::Foreign => "Another site tried to sign you in. Nothing has happened.",
            Self::Limited { .. } => {
                "Your network has opened too many sign-in links. Wait a minute, and open the link again."
            }
        }
    }
}

/// The page with the button.
pub(super) fn ready(content: &Content) -> Response {
    let template = ReadyTemplate {
        portal: &content.shown_host,
        recipient: content.recipient.as_deref(),
        has_code: content.has_code,
    };
    html(StatusCode::OK, &template, &form_targets(content))
}

/// A page that says why there is no button.
pub(super) fn problem(problem: &Problem) -> Response {
    let sign_in = match problem {
        Problem::Expired { portal } => Some(portal.as_str()),
        _ => None,
    };
    let template = ProblemTemplate { title: problem.title(), text: problem.text(), sign_in };
    let mut response = html(problem.status(), &template, "");
    if let Problem::Limited { retry_after } = problem {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after.header_value());
    }
    response
}

/// Where the form may lead: browsers apply `form-action` to redirects, too. From the page to Supabase, and from there to the
/// portal.
fn form_targets(content: &Content) -> String {
    let origins = [&content.verify_url, &content.callback_url].into_iter().filter_map(|url| Url::parse(url).ok());
    origins.map(|url| format!(" {}", url.origin().ascii_serialization())).collect()
}

fn html(status: StatusCode, template: &impl Template, form_targets: &str) -> Response {
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'; \
         form-action 'self'{form_targets}"
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
