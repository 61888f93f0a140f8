//! Parses `CALLBACK_NEXT_PREFIXES` and other paths in the settings and in `PORTALS_FILE`.

use std::str::FromStr;

/// `CALLBACK_NEXT_PREFIXES`: `callback_next` must be under one of these paths. If the list is empty, every path is
/// allowed.
#[derive(Debug, Clone, Default)]
pub struct NextPrefixes(Vec<String>);

impl NextPrefixes {
    /// Parses a list of paths.
    ///
    /// # Errors
    /// What is wrong with the first invalid path. See [`parse_path`].
    pub fn from_paths<'a>(paths: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let prefix = |path: &str| parse_path(path).map(|path| path.trim_end_matches('/').to_owned());
        paths.into_iter().map(prefix).collect::<Result<_, _>>().map(Self)
    }

    /// Whether the path is under one of the prefixes. Prefixes match whole segments: `/apple` is not under `/app`.
    #[must_use]
    pub fn contain(&self, path: &str) -> bool {
        let is_under =
            |prefix: &String| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.0.is_empty() || self.0.iter().any(is_under)
    }
}

impl FromStr for NextPrefixes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_paths(text.split(',').map(str::trim).filter(|entry| !entry.is_empty()))
    }
}

/// Parses a path from the settings. The path must be absolute, at most 512 bytes long, and consist of ASCII letters,
/// digits and the characters `-._~!$&'()*+,;=:@/`. It must not contain `//` or dot segments.
///
/// # Errors
/// What is wrong with the path.
pub fn parse_path(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-._~!$&'()*+,;=:@".contains(c);
    let has_dot_segment = text.split('/').any(|segment| segment == "." || segment == "..");
    if text.starts_with('/')
        && !text.contains("//")
        && text.len() <= 512
        && text.chars().all(is_plain)
        && !has_dot_segment
    {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "`{text}` must be an absolute path of at most 512 characters (ASCII letters, digits and \
             -._~!$&'()*+,;=:@/), without // or dot segments"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_matches_whole_segments() {
        let prefixes: NextPrefixes = "/app, /docs/public/".parse().unwrap();
        for (path, contained) in [
            ("/app", true),
            ("/app/", true),
            ("/app/x", true),
            ("/docs/public", true),
            ("/", false),
            ("/apple", false),
            ("/app%3Fx", false),
            ("/app;x", false),
            ("/%61pp", false),
            ("/docs", false),
        ] {
            assert_eq!(prefixes.contain(path), contained, "{path}");
        }
        assert!(NextPrefixes::default().contain("/any"));
    }

    #[test]
    fn a_prefix_must_be_a_plain_absolute_path() {
        for text in ["app", "/a//b", "/a?b", "/a#b", "/a/../b", "/%61", "/a b", "/ä"] {
            assert!(text.parse::<NextPrefixes>().is_err(), "{text}");
        }
    }
}
