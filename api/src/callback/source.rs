//! Finds the callback origin of a request. The sources are the body's `callback_origin`, then the headers
//! `X-AppHandoff-Callback-Origin`, `Origin` and `Referer`.
//!
//! Callers set `callback_origin` and `X-AppHandoff-Callback-Origin` on purpose. The first of these two sources that is present
//! therefore determines the callback origin, and an origin that is not allowed is an error. Browsers set `Origin` and `Referer`
//! on their own, so an origin in these headers that is not allowed is skipped.

use outbox::CodePoint;
use poem::http::{HeaderMap, HeaderName, header};
use portals::Origin;
use url::Url;

use crate::http::{
    error::{ErrorCode, ErrorResponse, ValidationIssue},
    issue_code::IssueCode,
    single_header::single_header,
};

/// The header in which a caller names the callback origin.
pub(crate) const CALLBACK_ORIGIN_HEADER: &str = "X-AppHandoff-Callback-Origin";

/// Why a request has no callback origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallbackOriginError {
    pub(crate) code: ErrorCode,
    pub(crate) issue: ValidationIssue,
}

/// Returns what `find` returns for the origin that the link redirects to. `find` returns `None` if an origin is not allowed.
/// `body` is the field `callback_origin`, if present.
///
/// # Errors
/// `callback_origin_not_allowed` if the body or the explicit header names an origin that is not allowed,
/// `callback_origin_required` if no source names an allowed origin.
pub(crate) fn resolve<T>(
    find: impl Fn(&Origin) -> Option<T>,
    body: Option<&str>,
    headers: &HeaderMap,
) -> Result<T, CallbackOriginError> {
    let find_origin = &find;
    let find = |text: &str| find_origin(&Origin::parse(text)?);
    if let Some(text) = body {
        return find(text).ok_or_else(|| explicit_origin_error("callback_origin", text));
    }
    if headers.contains_key(CALLBACK_ORIGIN_HEADER) {
        let text = single_header(headers, &HeaderName::from_static("x-apphandoff-callback-origin")).unwrap_or_default();
        return find(text).ok_or_else(|| explicit_origin_error(CALLBACK_ORIGIN_HEADER, text));
    }
    single_header(headers, &header::ORIGIN)
        .and_then(find)
        .or_else(|| {
            let url = Url::parse(single_header(headers, &header::REFERER)?).ok()?;
            find_origin(&Origin::from_url(&url)?)
        })
        .ok_or_else(origin_required)
}

/// Returns the text of the first source that is present, valid or not. `None` if no source is present.
pub(crate) fn deciding_text<'a>(body: Option<&'a str>, headers: &'a HeaderMap) -> Option<&'a str> {
    let explicit = HeaderName::from_static("x-apphandoff-callback-origin");
    body.or_else(|| single_header(headers, &explicit))
        .or_else(|| single_header(headers, &header::ORIGIN))
        .or_else(|| single_header(headers, &header::REFERER))
}

/// The error for an explicit origin that is not allowed. `path` is the field or header that names it.
pub(crate) fn origin_not_allowed(path: &str) -> CallbackOriginError {
    let message = "This origin is not one of the portal's allowed callback origins.";
    CallbackOriginError {
        code: ErrorCode::CallbackOriginNotAllowed,
        issue: ValidationIssue::new(path, IssueCode::CallbackOriginNotAllowed, message),
    }
}

/// The error for an explicit origin that is not allowed. If the text is not an origin, the message says what is wrong with it.
fn explicit_origin_error(path: &str, text: &str) -> CallbackOriginError {
    match find_problem(path, text) {
        Some((issue, message)) => CallbackOriginError {
            code: ErrorCode::CallbackOriginNotAllowed,
            issue: ValidationIssue::new(path, issue, message),
        },
        None => origin_not_allowed(path),
    }
}

fn find_problem(path: &str, text: &str) -> Option<(IssueCode, String)> {
    if let Some(invisible) = CodePoint::first_invisible(text) {
        let message = format!("{path} contains an invisible character ({invisible}).");
        return Some((IssueCode::CallbackOriginInvisibleCharacter, message));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let message = format!("{path} must be an origin, such as https://portal.example.com.");
        return Some((IssueCode::CallbackOriginInvalid, message));
    };
    let url = Url::parse(text).ok()?;
    let Some(origin) = Origin::from_url(&url) else {
        let message = format!("{path} must use https. http is only for localhost and other loopback addresses.");
        return scheme.eq_ignore_ascii_case("http").then_some((IssueCode::CallbackOriginNotHttps, message));
    };
    let superfluous = if url.path() != "/" || rest.contains(['?', '#']) {
        "path"
    } else if rest.contains('@') {
        "user name"
    } else {
        return None;
    };
    let message = format!("{path} must be an origin without a {superfluous}: send {}.", origin.as_str());
    Some((IssueCode::CallbackOriginHasMore, message))
}

/// The error for a request in which no source names an allowed origin.
pub(crate) fn origin_required() -> CallbackOriginError {
    let message = "Name the portal's origin: in callback_origin, or in the header X-AppHandoff-Callback-Origin.";
    CallbackOriginError {
        code: ErrorCode::CallbackOriginRequired,
        issue: ValidationIssue::new("callback_origin", IssueCode::CallbackOriginRequired, message),
    }
}

impl From<CallbackOriginError> for ErrorResponse {
    fn from(CallbackOriginError { code, issue }: CallbackOriginError) -> Self {
        Self::with_issues(code, vec![issue])
    }
}

#[cfg(test)]
mod tests {
    use portals::{AllowedOrigins, PortalOrigin};

    use super::*;

    fn find(origin: &Origin) -> Option<PortalOrigin> {
        let list = "https://portal.example.com, https://*.preview.example.com, http://localhost:3000";
        list.parse::<AllowedOrigins>().unwrap().find_portal(origin.clone())
    }

    const EXPLICIT: &str = "x-apphandoff-callback-origin";
    /// Header names and values.
    type Headers<'a> = &'a [(&'a str, &'a str)];

    const PORTAL: &str = "https://portal.example.com";
    const PREVIEW: &str = "https://pr-7.preview.example.com";

    #[test]
    fn the_first_source_decides() {
        let all = [(EXPLICIT, PREVIEW), ("origin", PORTAL), ("referer", PORTAL)];
        let cases: [(Option<&str>, Headers, &str); 7] = [
            (Some("http://localhost:3000"), &all, "http://localhost:3000"),
            (None, &all, PREVIEW),
            (None, &all[1..], PORTAL),
            (None, &[("origin", "null"), ("referer", "https://pr-7.preview.example.com/a?b#c")], PREVIEW),
            (None, &[("origin", "https://evil.example"), ("referer", "https://portal.example.com/x")], PORTAL),
            (None, &[("origin", PORTAL), ("origin", PORTAL)], PORTAL),
            (
                None,
                &[("origin", PORTAL), ("origin", PREVIEW), ("referer", "https://pr-7.preview.example.com/")],
                PREVIEW,
            ),
        ];
        for (body, pairs, expected) in cases {
            let resolved = resolve(find, body, &headers_of(pairs));
            assert_eq!(resolved.as_ref().map(|portal| portal.origin.as_str()), Ok(expected), "{body:?} {pairs:?}");
        }
    }

    fn headers_of(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        map
    }

    #[test]
    fn the_message_for_an_invalid_explicit_origin_says_what_is_wrong() {
        for (text, expected) in [
            ("https://portal.example.com/login", "without a path: send https://portal.example.com."),
            ("https://portal.example.com//", "without a path: send https://portal.example.com."),
            ("https://portal.example.com:8443/?a=b", "without a path: send https://portal.example.com:8443."),
            ("https://portal.example.com?", "without a path: send https://portal.example.com."),
            ("https://portal.example.com#top", "without a path: send https://portal.example.com."),
            ("https://ann:pw@portal.example.com", "without a user name: send https://portal.example.com."),
            ("portal.example.com", "must be an origin, such as https://portal.example.com."),
            ("null", "must be an origin, such as https://portal.example.com."),
            ("", "must be an origin, such as https://portal.example.com."),
            ("http://portal.example.com", "must use https."),
            ("https://portal.example.com\u{200b}", "invisible character (U+200B"),
            ("https://evil.example", "not one of the portal's allowed callback origins."),
            ("https://portal.example.com.", "not one of the portal's allowed callback origins."),
        ] {
            let error = resolve(find, Some(text), &HeaderMap::new()).unwrap_err();
            assert!(error.issue.message.contains(expected), "{text:?}: {}", error.issue.message);
        }
        let error = resolve(find, None, &headers_of(&[(EXPLICIT, "https://portal.example.com/x")])).unwrap_err();
        let expected =
            "X-AppHandoff-Callback-Origin must be an origin without a path: send https://portal.example.com.";
        assert_eq!(error.issue.message, expected);
    }

    #[test]
    fn a_disallowed_origin_is_an_error_if_explicit_and_skipped_if_the_browser_set_it() {
        let good = ("origin", PORTAL);
        let not_allowed = ErrorCode::CallbackOriginNotAllowed;
        let required = ErrorCode::CallbackOriginRequired;
        let cases: [(Option<&str>, Headers, ErrorCode, &str); 9] = [
            (Some("https://evil.example"), &[good], not_allowed, "callback_origin"),
            (Some(""), &[good], not_allowed, "callback_origin"),
            (Some("null"), &[good], not_allowed, "callback_origin"),
            (None, &[(EXPLICIT, "https://evil.example"), good], not_allowed, CALLBACK_ORIGIN_HEADER),
            (None, &[(EXPLICIT, ""), good], not_allowed, CALLBACK_ORIGIN_HEADER),
            (None, &[(EXPLICIT, PORTAL), (EXPLICIT, PREVIEW), good], not_allowed, CALLBACK_ORIGIN_HEADER),
            (None, &[], required, "callback_origin"),
            (None, &[("origin", "null")], required, "callback_origin"),
            (None, &[("origin", "https://evil.example"), ("referer", "about:blank")], required, "callback_origin"),
        ];
        for (body, pairs, code, path) in cases {
            let error = resolve(find, body, &headers_of(pairs)).unwrap_err();
            assert_eq!((error.code, error.issue.path.as_str()), (code, path), "{body:?} {pairs:?}");
        }
    }
}
