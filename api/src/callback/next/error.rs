//! The reasons for refusing a `callback_next`. Each rule has its own message, so that a portal's developer knows what
//! to change.

use outbox::CodePoint;

use crate::http::{error::ValidationIssue, issue_code::IssueCode};

/// The rule that `callback_next` breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnsafeCallbackNext {
    /// The value is longer than [`MAX_BYTES`](super::MAX_BYTES), either as sent or after normalisation.
    #[error("callback_next must not be longer than 1,024 bytes.")]
    TooLong,
    /// The value contains an invisible character.
    #[error("callback_next contains an invisible character ({0}).")]
    Invisible(CodePoint),
    /// The value contains a space, a control character or a character that is not ASCII.
    #[error("Spaces, control characters and non-ASCII characters in callback_next must be percent-encoded.")]
    NotEncoded,
    /// The value is a URL whose origin is not the callback origin.
    #[error("callback_next is a URL, but its origin is not the callback origin.")]
    OtherOrigin,
    /// A browser would read the beginning of the value as a scheme, either as sent or after decoding.
    #[error("callback_next must not begin with a scheme, such as javascript:.")]
    Scheme,
    /// The value is not a path. Without a slash at the beginning, it must begin with a letter, a digit, `-` or `_`, and
    /// must not contain `:` or `@` in its first segment.
    #[error(
        "callback_next must be a path, such as /orders or orders. Without a slash at the beginning, it must begin with \
         a letter, a digit, - or _, and its first segment must not contain : or @."
    )]
    NotAPath,
    /// The value contains a `%` that does not begin an escape, or escapes that do not decode to valid UTF-8.
    #[error("callback_next contains invalid percent-encoding. Write %25 for a percent sign.")]
    BadEscape,
    /// The path contains an empty segment (`//`), or a segment that contains only white space.
    #[error("The path of callback_next must not contain an empty segment (//) or a segment that contains only spaces.")]
    EmptySegment,
    /// The path contains an encoded slash.
    #[error("The path of callback_next must not contain an encoded slash (%2F).")]
    EncodedSlash,
    /// The value contains a backslash, encoded or not.
    #[error("callback_next must not contain a backslash, not even as %5C.")]
    Backslash,
    /// The value contains an encoded control character or line separator.
    #[error("callback_next must not contain encoded control characters or line breaks, such as %0A.")]
    Control,
    /// A segment of the path is an encoded or disguised `.` or `..`.
    #[error("The path of callback_next must not contain an encoded or disguised dot segment, such as %2E%2E or ..;.")]
    DotSegment,
    /// The path contains an encoded format character.
    #[error("The path of callback_next must not contain the invisible character {0}.")]
    Format(CodePoint),
    /// The path contains an encoded character that some programs read as a slash, a backslash or a dot.
    #[error("The path of callback_next must not contain {0}, which some programs read as a slash, backslash or dot.")]
    Lookalike(CodePoint),
    /// The path is not under any of the `CALLBACK_NEXT_PREFIXES`.
    #[error("callback_next is not under a path that this service allows.")]
    OutsidePrefixes,
}

impl UnsafeCallbackNext {
    /// The issue for the response.
    pub(crate) fn issue(self) -> ValidationIssue {
        ValidationIssue::new("callback_next", self.code(), self.to_string())
    }

    fn code(self) -> IssueCode {
        match self {
            Self::TooLong => IssueCode::CallbackNextTooLong,
            Self::Invisible(_) => IssueCode::CallbackNextInvisibleCharacter,
            Self::NotEncoded => IssueCode::CallbackNextNotEncoded,
            Self::OtherOrigin => IssueCode::CallbackNextOtherOrigin,
            Self::Scheme => IssueCode::CallbackNextScheme,
            Self::NotAPath => IssueCode::CallbackNextNotAPath,
            Self::BadEscape => IssueCode::CallbackNextBadEscape,
            Self::EmptySegment => IssueCode::CallbackNextEmptySegment,
            Self::EncodedSlash => IssueCode::CallbackNextEncodedSlash,
            Self::Backslash => IssueCode::CallbackNextBackslash,
            Self::Control => IssueCode::CallbackNextControlCharacter,
            Self::DotSegment => IssueCode::CallbackNextDotSegment,
            Self::Format(_) => IssueCode::CallbackNextFormatCharacter,
            Self::Lookalike(_) => IssueCode::CallbackNextLookalike,
            Self::OutsidePrefixes => IssueCode::CallbackNextOutsidePrefixes,
        }
    }
}
