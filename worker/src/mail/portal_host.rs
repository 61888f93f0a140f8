//! What a mail calls the portal if an api of an earlier version has added the job and stored no host.

use outbox::CallbackUrl;

/// The registrable domain of the callback, in ASCII: `example.com` for `https://portal.example.com/auth/callback`. Of an entry
/// of `CALLBACK_ORIGINS` with a wildcard, a stranger chooses the label in front of it, and of `http://localhost:*` the port.
pub(crate) fn portal_host(callback_url: &CallbackUrl) -> &str {
    let host = callback_url.host();
    // The list would take the last parts of an IP address for a domain.
    let is_name = host.starts_with(|c: char| c != '[') && host.parse::<std::net::IpAddr>().is_err();
    psl::domain_str(host).filter(|_| is_name).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_a_stranger_chose_is_left_out() {
        for (url, host) in [
            ("https://portal.example.com/auth/callback?next=%2Fx", "example.com"),
            ("https://your-account-is-locked.preview.example.co.uk/auth/callback", "example.co.uk"),
            ("https://your-account-is-locked.portal.vercel.app/auth/callback", "portal.vercel.app"),
            ("https://a.xn--mnchen-3ya.example:8443/auth/callback", "xn--mnchen-3ya.example"),
            ("http://localhost:3000/auth/callback", "localhost"),
            ("http://127.0.0.1:3000/auth/callback", "127.0.0.1"),
            ("http://[::1]:3000/auth/callback", "[::1]"),
        ] {
            assert_eq!(portal_host(&CallbackUrl::parse(url).unwrap()), host, "{url}");
        }
    }
}
