//! The URL that a sign-in link takes the person to.

use std::fmt;

use url::Url;

/// Why a string is not a callback URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackUrlError {
    /// The string is longer than [`CallbackUrl::MAX_BYTES`].
    #[error("the value is longer than 8192 bytes")]
    TooLong,
    /// The string is not an absolute http or https URL with a host, or it contains a character that is not printable
    /// ASCII, such as a space.
    #[error("the value is not an absolute http or https URL in printable ASCII")]
    Malformed,
}

/// An absolute URL that a sign-in link takes the person to: origin, path, and possibly `?next=`.
///
/// The text is kept exactly as it was given, because the redirect in Supabase's response is compared with it, and
/// sealed links are bound to it.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    text: String,
    url: Url,
}

impl CallbackUrl {
    /// Maximum length of a URL in `email_jobs.callback_url`, in bytes.
    pub const MAX_BYTES: usize = 8_192;

    /// Parses an absolute http or https URL.
    ///
    /// # Errors
    /// [`CallbackUrlError`].
    pub fn parse(text: impl Into<String>) -> Result<Self, CallbackUrlError> {
        let text = text.into();
        if text.len() > Self::MAX_BYTES {
            return Err(CallbackUrlError::TooLong);
        }
        // The URL parser drops line breaks and trims spaces, but the text is sent unchanged and would still contain
        // them.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(CallbackUrlError::Malformed);
        }
        match Url::parse(&text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Self { text, url }),
            _ => Err(CallbackUrlError::Malformed),
        }
    }

    /// The URL exactly as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host in ASCII, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// Number of characters that this URL takes up in a link. Supabase percent-encodes the URL again if it contains
    /// `&`, `=` or `#` (Supabase: internal/mailer, encodeRedirectURL; confirmed by measurement).
    #[must_use]
    pub fn len_in_link(&self) -> usize {
        if !self.text.contains(['&', '=', '#']) {
            return self.text.len();
        }
        let is_kept = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        let kept = self.text.bytes().filter(is_kept).count();
        kept + 3 * (self.text.len() - kept)
    }

    /// The origin and path, without the query and fragment. An operator configures the origin and path. A caller of the
    /// api can choose only the label or port that a wildcard in the setting stands for.
    #[must_use]
    pub fn origin_and_path(&self) -> String {
        format!("{}{}", self.url.origin().ascii_serialization(), self.url.path())
    }
}

impl fmt::Display for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_keeps_its_text_and_is_split_into_its_parts() {
        for (text, host, origin_and_path) in [
            (
                "https://portal.example.com/auth/callback?next=%2Fa%2Fb",
                "portal.example.com",
                "https://portal.example.com/auth/callback",
            ),
            ("http://localhost:3000/auth/callback", "localhost", "http://localhost:3000/auth/callback"),
            ("https://portal.example.com:8443/x#y", "portal.example.com", "https://portal.example.com:8443/x"),
            ("https://portal.example.com:443", "portal.example.com", "https://portal.example.com/"),
        ] {
            let url = CallbackUrl::parse(text).unwrap();
            assert_eq!(url.as_str(), text);
            assert_eq!(url.host(), host);
            assert_eq!(url.origin_and_path(), origin_and_path);
        }
    }

    #[test]
    fn a_url_with_a_query_is_encoded_once_more_in_a_link() {
        for (text, in_link) in [
            ("https://portal.example.com/auth/callback", "https://portal.example.com/auth/callback"),
            (
                "https://portal.example.com/a~b?next=%2Fx-y_z.1",
                "https%3A%2F%2Fportal.example.com%2Fa~b%3Fnext%3D%252Fx-y_z.1",
            ),
            ("https://portal.example.com/#a", "https%3A%2F%2Fportal.example.com%2F%23a"),
        ] {
            assert_eq!(CallbackUrl::parse(text).unwrap().len_in_link(), in_link.len(), "{text}");
        }
    }

    #[test]
    fn anything_but_an_absolute_http_url_is_refused() {
        for text in [
            "",
            "portal.example.com",
            "/auth/callback",
            "ftp://portal.example.com/",
            "javascript:alert(1)",
            "https://",
            "https://portal.example.com/a b",
            "https://portal.example.com/\n",
            "https://portal.exämple.com/",
        ] {
            assert_eq!(CallbackUrl::parse(text), Err(CallbackUrlError::Malformed), "{text:?}");
        }
        let too_long = format!("https://portal.example.com/{}", "a".repeat(CallbackUrl::MAX_BYTES));
        assert_eq!(CallbackUrl::parse(too_long), Err(CallbackUrlError::TooLong));
    }
}
