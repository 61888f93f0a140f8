//! The codes of validation issues. Portals use them to show messages in the person's language.

/// Declares each code once, together with its string in responses.
macro_rules! issue_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// What is wrong with one field. New codes may be added, so callers must expect unknown codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum IssueCode {
            $($(#[$doc])* $variant,)+
        }

        impl IssueCode {
            /// All codes.
            #[cfg(test)]
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The code as it appears in responses.
            pub(crate) fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

issue_codes! {
    /// The body is JSON, but not an object.
    BodyNotAnObject = "body_not_an_object",
    /// The field must be a string.
    NotAString = "not_a_string",
    /// The address is missing or empty, or contains only white space and invisible characters.
    EmailRequired = "email_required",
    /// The address is not exactly one `name@host`.
    EmailInvalid = "email_invalid",
    /// The address has more than 254 characters.
    EmailTooLong = "email_too_long",
    /// There is an invisible character inside the address.
    EmailInvisibleCharacter = "email_invisible_character",
    /// The part before the `@` is not ASCII.
    EmailLocalPartNotAscii = "email_local_part_not_ascii",
    /// The part before the `@` has more than 64 characters.
    EmailLocalPartTooLong = "email_local_part_too_long",
    /// The part after the `@` is not a domain.
    EmailDomainInvalid = "email_domain_invalid",
    /// The part after the `@` has no dot.
    EmailDomainWithoutDot = "email_domain_without_dot",
    /// The request contains no allowed origin.
    CallbackOriginRequired = "callback_origin_required",
    /// The origin is not on the allow list.
    CallbackOriginNotAllowed = "callback_origin_not_allowed",
    /// The value is not an origin: it does not contain `://`.
    CallbackOriginInvalid = "callback_origin_invalid",
    /// The origin contains an invisible character.
    CallbackOriginInvisibleCharacter = "callback_origin_invisible_character",
    /// The origin uses http, and its host is not a loopback host.
    CallbackOriginNotHttps = "callback_origin_not_https",
    /// The value contains more than an origin: a path, a query, a fragment or a user name.
    CallbackOriginHasMore = "callback_origin_has_more",
    /// Even without a destination, the origin and the callback path make the link too long.
    CallbackOriginTooLong = "callback_origin_too_long",
    /// The destination is longer than 1,024 bytes, or makes the link too long.
    CallbackNextTooLong = "callback_next_too_long",
    /// The destination contains an invisible character.
    CallbackNextInvisibleCharacter = "callback_next_invisible_character",
    /// The destination contains a space, a control character or a character that is not ASCII, which must be
    /// percent-encoded.
    CallbackNextNotEncoded = "callback_next_not_encoded",
    /// The destination is a URL with another origin.
    CallbackNextOtherOrigin = "callback_next_other_origin",
    /// The destination begins with a scheme.
    CallbackNextScheme = "callback_next_scheme",
    /// The destination is not a path. Without a slash at the beginning, it must begin with a letter, a digit, `-` or
    /// `_`, and must not contain `:` or `@` in its first segment.
    CallbackNextNotAPath = "callback_next_not_a_path",
    /// The destination contains a `%` that does not begin an escape, or escapes that are not valid UTF-8.
    CallbackNextBadEscape = "callback_next_bad_escape",
    /// The destination's path contains a segment that is empty or contains only spaces.
    CallbackNextEmptySegment = "callback_next_empty_segment",
    /// The destination's path contains an encoded slash.
    CallbackNextEncodedSlash = "callback_next_encoded_slash",
    /// The destination contains a backslash, encoded or not.
    CallbackNextBackslash = "callback_next_backslash",
    /// The destination contains an encoded control character or line separator.
    CallbackNextControlCharacter = "callback_next_control_character",
    /// The destination's path contains an encoded or disguised dot segment.
    CallbackNextDotSegment = "callback_next_dot_segment",
    /// The destination's path contains an encoded format character.
    CallbackNextFormatCharacter = "callback_next_format_character",
    /// The destination's path contains an encoded character that some programs read as a slash, a backslash or a dot.
    CallbackNextLookalike = "callback_next_lookalike",
    /// The destination is outside the paths that the operator allows.
    CallbackNextOutsidePrefixes = "callback_next_outside_prefixes",
}

#[cfg(test)]
mod tests {
    use super::IssueCode;

    #[test]
    fn the_guide_lists_every_code() {
        let guide = include_str!("../document/guide.md");
        for code in IssueCode::ALL {
            assert!(guide.contains(&format!("`{}`", code.as_str())), "{}", code.as_str());
        }
    }
}
