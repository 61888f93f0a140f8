//! Supabase Auth's check of `redirect_to` against SITE_URL and URI_ALLOW_LIST (internal/utilities/request.go,
//! IsRedirectURLValid). A redirect that is not allowed is not an error: Supabase uses SITE_URL instead.

use std::net::IpAddr;

/// The two settings that decide which redirects are allowed.
#[derive(Clone, Debug)]
pub(super) struct AllowList {
    pub(super) site_url: String,
    pub(super) entries: Vec<String>,
}

impl AllowList {
    pub(super) fn allows(&self, redirect_to: &str) -> bool {
        let Some(target) = PatternOrigin::of(redirect_to) else {
            return false;
        };
        if PatternOrigin::of(&self.site_url).is_some_and(|site| site.is_home_of(&target)) {
            return true;
        }
        if let Some(address) = target.ip() {
            return address.is_loopback();
        }
        if target.host.chars().all(|c| c.is_ascii_digit()) {
            // Many browsers interpret a decimal number as an IPv4 address.
            return false;
        }
        let without_fragment = redirect_to.split('#').next().unwrap_or_default();
        let without_fragment: Vec<char> = without_fragment.chars().collect();
        self.entries.iter().any(|entry| {
            let entry: Vec<char> = entry.chars().collect();
            glob(&entry, &without_fragment)
        })
    }
}

/// Scheme, host and port as written. Go's url.Parse neither lower-cases the host nor drops a default port, so
/// `https://Portal.example` and `https://portal.example:443` do not match `https://portal.example`.
struct PatternOrigin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: &'a str,
}

impl<'a> PatternOrigin<'a> {
    fn of(url: &'a str) -> Option<PatternOrigin<'a>> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let authority = authority.rsplit('@').next()?;
        let (host, port) = match authority.strip_prefix('[') {
            Some(v6) => v6.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = port.trim_start_matches(':');
        (!host.is_empty()).then_some(PatternOrigin { scheme, host, port })
    }

    /// SITE_URL allows every URL with the same scheme, host and port. If its host is a loopback host, any port is
    /// allowed.
    fn is_home_of(&self, target: &PatternOrigin<'_>) -> bool {
        let same_host = self.scheme == target.scheme && self.host == target.host;
        same_host && (self.port == target.port || self.is_loopback())
    }

    fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Whether a URL points to this machine.
pub(super) fn is_loopback_url(url: &str) -> bool {
    PatternOrigin::of(url).is_some_and(|origin| origin.is_loopback() || origin.host.ends_with(".localhost"))
}

/// Matches as gobwas/glob does with the separators `.` and `/`: `*` and `?` do not match a separator, `**` does, and a
/// backslash makes the next character literal. Character classes and alternatives are not implemented.
fn glob(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*', '*', rest @ ..] => (0..=text.len()).any(|end| glob(rest, &text[end..])),
        ['*', rest @ ..] => {
            let run = text.iter().take_while(|c| !is_separator(**c)).count();
            (0..=run).any(|end| glob(rest, &text[end..]))
        }
        ['?', rest @ ..] => match text {
            [first, others @ ..] => !is_separator(*first) && glob(rest, others),
            [] => false,
        },
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => text.first() == Some(literal) && glob(rest, &text[1..]),
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | '/')
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLBACK: &str = "https://portal.example.com/auth/callback";

    fn list(entries: &[&str]) -> AllowList {
        AllowList {
            site_url: "https://www.example.org".into(),
            entries: entries.iter().map(|entry| entry.replace('…', CALLBACK)).collect(),
        }
    }

    /// The forms of the callback URL that each entry allows, as observed on a real server.
    #[test]
    fn entries_allow_what_a_real_server_allows() {
        let forms = ["", "?next=%2Fprojects%2F42", "?next=%2Fa.b%2Fc", "?next=/projects/42"];
        type PatternCase<'a> = (&'a [&'a str], [bool; 4], &'a [&'a str], &'a [&'a str]);
        let table: [PatternCase<'_>; 7] = [
            (&["…"], [true, false, false, false], &["#fragment"], &["/x"]),
            (&["…*"], [true, true, false, false], &["-evil", "?other=1"], &["/x"]),
            (&["…**"], [true; 4], &["-evil", "/../../x", "?a=/b.c"], &[]),
            (&["…?next=**"], [false, true, true, true], &["Xnext=1"], &["?other=1"]),
            (&["…?next=*"], [false, true, false, false], &["Xnext=1"], &["?other=1"]),
            (&["…\\?next=**"], [false, true, true, true], &[], &["Xnext=1", "?other=1"]),
            (&["…", "…\\?**"], [true; 4], &["?other=1"], &["/x", "-evil"]),
        ];
        for (entries, expected, also, never) in table {
            let list = list(entries);
            for (form, allowed) in forms.iter().zip(expected) {
                assert_eq!(list.allows(&format!("{CALLBACK}{form}")), allowed, "{entries:?} {form}");
            }
            for form in also {
                assert!(list.allows(&format!("{CALLBACK}{form}")), "{entries:?} {form}");
            }
            for form in never {
                assert!(!list.allows(&format!("{CALLBACK}{form}")), "{entries:?} {form}");
            }
        }
    }

    #[test]
    fn hosts_are_compared_as_written_and_loopback_addresses_are_allowed() {
        let list = list(&["…", "http://localhost:*/**"]);
        for (url, allowed) in [
            ("https://www.example.org/any/path?x=1", true),
            ("https://www.example.org:443/", false),
            ("https://WWW.example.org/", false),
            ("http://www.example.org/", false),
            ("https://PORTAL.example.com/auth/callback", false),
            ("https://portal.example.com:443/auth/callback", false),
            ("http://127.0.0.1:3000/x", true),
            ("http://[::1]:3000/x", true),
            ("http://10.0.0.1/x", false),
            ("http://2130706433/x", false),
            ("http://localhost:3000/auth/callback?next=%2Fx", true),
            ("https://localhost:3000/", false),
            ("", false),
            ("/auth/callback", false),
        ] {
            assert_eq!(list.allows(url), allowed, "{url}");
        }
    }

    #[test]
    fn a_loopback_site_url_allows_every_port() {
        let list = AllowList { site_url: "http://localhost:3000".into(), entries: vec![] };
        assert!(list.allows("http://localhost:5173/x"));
        assert!(!list.allows("https://localhost:5173/x"));
    }
}
