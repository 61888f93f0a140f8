//! Which portal a link may lead back to: equality with an allowed origin, never a suffix, prefix or pattern.
//!
//! The origin comes from the first source that is present: the body, `X-AppHandoff-Callback-Origin`, `Origin`,
//! `Referer`. The first two were written on purpose: one that is not allowed is the caller's error. The other two
//! are the browser's: one that is not allowed says nothing, and the next source is asked.

use poem::http::{HeaderMap, HeaderName, header};
use url::Url;

use super::{allowed_origins::AllowedOrigins, origin::Origin};
use crate::http::{
    error::{ErrorCode, ErrorResponse, ValidationIssue},
    single_header::single,
};

/// The explicit header.
pub(crate) const HEADER: &str = "X-AppHandoff-Callback-Origin";

/// Why there is no callback origin.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallbackOriginError {
    pub(crate) code: ErrorCode,
    pub(crate) issue: ValidationIssue,
}

/// The portal that this request's link leads back to.
pub(crate) fn resolve(
    allowed: &AllowedOrigins,
    body: Option<&str>,
    headers: &HeaderMap,
) -> Result<Origin, CallbackOriginError> {
    if let Some(text) = body {
        return allowed.find(text).ok_or_else(|| not_allowed("callback_origin"));
    }
    if headers.contains_key(HEADER) {
        let text = single(headers, &HeaderName::from_static("x-apphandoff-callback-origin"));
        return text.and_then(|text| allowed.find(text)).ok_or_else(|| not_allowed(HEADER));
    }
    single(headers, &header::ORIGIN)
        .and_then(|text| allowed.find(text))
        .or_else(|| {
            let url = Url::parse(single(headers, &header::REFERER)?).ok()?;
            Origin::of(&url).filter(|origin| allowed.allows(origin))
        })
        .ok_or_else(required)
}

/// An explicit source, a field or a header, names an origin that is not allowed.
pub(crate) fn not_allowed(path: &str) -> CallbackOriginError {
    let message = "This origin is not one of the portal's allowed callback origins.";
    CallbackOriginError { code: ErrorCode::CallbackOriginNotAllowed, issue: ValidationIssue::new(path, message) }
}

/// No source names an allowed origin.
pub(crate) fn required() -> CallbackOriginError {
    let message = "Name the portal's origin: in callback_origin, or in the header X-AppHandoff-Callback-Origin.";
    CallbackOriginError {
        code: ErrorCode::CallbackOriginRequired,
        issue: ValidationIssue::new("callback_origin", message),
    }
}

impl From<CallbackOriginError> for ErrorResponse {
    fn from(CallbackOriginError { code, issue }: CallbackOriginError) -> Self {
        Self::invalid(code, vec![issue])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> AllowedOrigins {
        "https://portal.example.com, https://*.preview.example.com, http://localhost:3000".parse().unwrap()
    }

    const X: &str = "x-apphandoff-callback-origin";
    /// Name and value.
    type Headers<'a> = &'a [(&'a str, &'a str)];

    const PORTAL: &str = "https://portal.example.com";
    const PREVIEW: &str = "https://pr-7.preview.example.com";

    #[test]
    fn the_first_source_that_is_present_decides() {
        let every = [(X, PREVIEW), ("origin", PORTAL), ("referer", PORTAL)];
        let cases: [(Option<&str>, Headers, &str); 7] = [
            (Some("http://localhost:3000"), &every, "http://localhost:3000"),
            (None, &every, PREVIEW),
            (None, &every[1..], PORTAL),
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
            let found = resolve(&allowed(), body, &headers_of(pairs));
            assert_eq!(found.as_ref().map(Origin::as_str), Ok(expected), "{body:?} {pairs:?}");
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
    fn an_explicit_origin_that_is_not_allowed_is_an_error_and_an_ambient_one_is_not_a_match() {
        let good = ("origin", PORTAL);
        let refused = ErrorCode::CallbackOriginNotAllowed;
        let missing = ErrorCode::CallbackOriginRequired;
        let cases: [(Option<&str>, Headers, ErrorCode, &str); 9] = [
            (Some("https://evil.example"), &[good], refused, "callback_origin"),
            (Some(""), &[good], refused, "callback_origin"),
            (Some("null"), &[good], refused, "callback_origin"),
            (None, &[(X, "https://evil.example"), good], refused, HEADER),
            (None, &[(X, ""), good], refused, HEADER),
            (None, &[(X, PORTAL), (X, PREVIEW), good], refused, HEADER),
            (None, &[], missing, "callback_origin"),
            (None, &[("origin", "null")], missing, "callback_origin"),
            (None, &[("origin", "https://evil.example"), ("referer", "about:blank")], missing, "callback_origin"),
        ];
        for (body, pairs, code, path) in cases {
            let error = resolve(&allowed(), body, &headers_of(pairs)).unwrap_err();
            assert_eq!((error.code, error.issue.path.as_str()), (code, path), "{body:?} {pairs:?}");
        }
    }
}
