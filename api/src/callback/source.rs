//! Finds the callback origin for a request. The sources are the body's `callback_origin`, then the
//! `X-AppHandoff-Callback-Origin`, `Origin` and `Referer` headers.
//!
//! Callers set `callback_origin` and `X-AppHandoff-Callback-Origin` explicitly. The first of these two sources that is
//! present therefore determines the callback origin, and an origin that is not allowed is an error. Browsers set
//! `Origin` and `Referer` automatically, so an origin in these headers that is not allowed is skipped.

use outbox::CodePoint;
use poem::http::{HeaderMap, HeaderName, header};
use portals::Origin;
use url::Url;

use crate::http::{
    error::{ErrorCode, ErrorResponse, ValidationIssue},
    issue_code::IssueCode,
    single_header::single_header,
};

/// The header in which a caller specifies the callback origin.
pub(crate) const CALLBACK_ORIGIN_HEADER: &str = "X-AppHandoff-Callback-Origin";

/// Why a request has no callback origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallbackOriginError {
    pub(crate) code: ErrorCode,
    pub(crate) issue: ValidationIssue,
}

/// Finds the origin that the link redirects to, and returns the result of `find` for this origin. `find` returns `None`
/// if an origin is not allowed. `body` is the `callback_origin` field, if present.
///
/// # Errors
/// `callback_origin_not_allowed` if `callback_origin` is not an allowed origin, or if it is missing and
/// `X-AppHandoff-Callback-Origin` is not an allowed origin. `callback_origin_required` if both are missing and neither
/// `Origin` nor `Referer` contains an allowed origin.
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

/// Returns the text of the first source that is present, even if it is not a valid origin, or `None` if no source is
/// present. Skips headers that are not ASCII text or are repeated with different values.
pub(crate) fn deciding_text<'a>(body: Option<&'a str>, headers: &'a HeaderMap) -> Option<&'a str> {
    let explicit = HeaderName::from_static("x-apphandoff-callback-origin");
    body.or_else(|| single_header(headers, &explicit))
        .or_else(|| single_header(headers, &header::ORIGIN))
        .or_else(|| single_header(headers, &header::REFERER))
}

/// The error for an explicit origin that is not allowed. `path` is the field or header that contains it.
pub(crate) fn origin_not_allowed(path: &str) -> CallbackOriginError {
    let message = "This origin is not one of the portal's allowed callback origins.";
    CallbackOriginError {
        code: ErrorCode::CallbackOriginNotAllowed,
        issue: ValidationIssue::new(path, IssueCode::CallbackOriginNotAllowed, message),
    }
}

/// The error for an explicit origin that is not allowed. If the text is not a plain origin, the message usually says
/// what is wrong with it.
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
        let message = format!("{path} must use https. Only localhost and other loopback addresses may use http.");
        return scheme.eq_ignore_ascii_case("http").then_some((IssueCode::CallbackOriginNotHttps, message));
    };
    let superfluous = if url.path() != "/" {
        "path"
    } else if rest.contains('?') {
        "query"
    } else if rest.contains('#') {
        "fragment"
    } else if rest.contains('@') {
        "user name"
    } else {
        return None;
    };
    let message = format!("{path} must be an origin without a {superfluous}: send {}.", origin.as_str());
    Some((IssueCode::CallbackOriginHasMore, message))
}

/// The error for a request in which no source contains an allowed origin.
pub(crate) fn origin_required() -> CallbackOriginError {
    let message = "Send the portal's origin in callback_origin or in the X-AppHandoff-Callback-Origin header.";
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
    /// Pairs of a header name and a value.
    type Headers<'a> = &'a [(&'a str, &'a str)];

    const PORTAL: &str = "https://portal.example.com";
    const PREVIEW: &str = "https://pr-7.preview.example.com";

    #[test]
    fn the_first_usable_source_determines_the_callback_origin() {
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
            ("https://portal.example.com:8443/?a=b", "without a query: send https://portal.example.com:8443."),
            ("https://portal.example.com?", "without a query: send https://portal.example.com."),
            ("https://portal.example.com#top", "without a fragment: send https://portal.example.com."),
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
