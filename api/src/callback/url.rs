//! The callback URL: the portal page that a link redirects to after sign-in.

use outbox::CallbackUrl;

use portals::Origin;

use super::next::CallbackNext;
use crate::http::{
    error::{ErrorCode, ValidationIssue},
    issue_code::IssueCode,
};

/// Maximum length of the callback URL in characters, after it is percent-encoded again for the link. Some versions of
/// Outlook cut links after 2,083 characters; the difference leaves room for Supabase's part of the link.
const MAX_LENGTH_IN_LINK: usize = 1_700;

/// The error if the callback URL would make the link too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CallbackTooLong {
    /// The error code of the response.
    pub(crate) code: ErrorCode,
    /// The validation issue, whose path is the field to shorten.
    pub(crate) issue: ValidationIssue,
}

/// Joins an allowed origin, the callback path (`CALLBACK_PATH`) and the destination inside the portal:
/// `https://portal.example.com/auth/callback?next=%2Forders`. Without `next`, the URL has no query.
///
/// # Errors
/// Fails if the URL would take more than [`MAX_LENGTH_IN_LINK`] characters in a link.
///
/// # Panics
/// Never panics: the parts are ASCII without spaces, and the maximum lengths of the origin (512 bytes), the path (512
/// bytes) and the encoded destination (three times 1,024 bytes) add up to less than [`CallbackUrl::MAX_BYTES`].
pub(crate) fn build(origin: &Origin, path: &str, next: Option<&CallbackNext>) -> Result<CallbackUrl, CallbackTooLong> {
    let join =
        |query: &str| CallbackUrl::parse(format!("{}{path}{query}", origin.as_str())).expect("its parts were checked");
    let query = next.map(|next| format!("?next={}", next.percent_encoded())).unwrap_or_default();
    let url = join(&query);
    let length = url.len_in_link();
    if length <= MAX_LENGTH_IN_LINK {
        return Ok(url);
    }
    let (code, field, issue) = if join("").len_in_link() <= MAX_LENGTH_IN_LINK {
        (ErrorCode::CallbackNextUnsafe, "callback_next", IssueCode::CallbackNextTooLong)
    } else {
        (ErrorCode::InvalidRequest, "callback_origin", IssueCode::CallbackOriginTooLong)
    };
    let message = format!(
        "{field} makes the link longer than some mail programs can open: in the link, the callback URL would take \
         {length} characters, and the maximum is 1,700. Each character that is not a letter, a digit or one of - . _ ~ \
         takes several."
    );
    Err(CallbackTooLong { code, issue: ValidationIssue::new(field, issue, message) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portals::NextPrefixes;

    fn build_for(origin: &str, path: &str, next: &str) -> Result<CallbackUrl, CallbackTooLong> {
        let origin = Origin::parse(origin).unwrap();
        let next = CallbackNext::parse(next, Some(&origin), &NextPrefixes::default()).unwrap();
        build(&origin, path, Some(&next))
    }

    #[test]
    fn a_plain_next_of_1024_bytes_fits_into_a_link() {
        let next = format!("/{}", "a".repeat(1_023));
        let url = build_for("https://portal.example.com", "/auth/callback", &next).unwrap();
        assert!(url.as_str().ends_with(&next[1..]) && url.len_in_link() < 1_200, "{url}");
    }

    #[test]
    fn a_callback_url_takes_at_most_1700_characters_in_a_link() {
        let rest = "https%3A%2F%2Fportal.example.com%2Fauth%2Fcallback%3Fnext%3D".len();
        // A slash takes 5 characters in a link: %252F.
        let next_taking = |length: usize| format!("{}{}", "/a".repeat(200), "a".repeat(length - rest - 6 * 200));
        let build = |length| build_for("https://portal.example.com", "/auth/callback", &next_taking(length));
        assert_eq!(build(1_700).unwrap().len_in_link(), 1_700);
        let error = build(1_701).unwrap_err();
        assert_eq!((error.code, error.issue.path.as_str()), (ErrorCode::CallbackNextUnsafe, "callback_next"));
        assert!(error.issue.message.contains("1701 characters, and the maximum is 1,700"), "{}", error.issue.message);
    }

    #[test]
    fn if_the_origin_and_path_alone_are_too_long_the_issue_is_about_callback_origin() {
        let origin = format!("https://{0}.{0}.{0}.example.com", "a".repeat(60));
        let error = build_for(&origin, &"/&".repeat(256), "/").unwrap_err();
        assert_eq!((error.code, error.issue.path.as_str()), (ErrorCode::InvalidRequest, "callback_origin"));
    }
}
