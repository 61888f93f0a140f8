//! The host that a mail shows if its job has no stored host. Only earlier versions of the api added jobs without a
//! host.

use outbox::CallbackUrl;

/// The registrable domain of the callback, in ASCII: `example.com` for `https://portal.example.com/auth/callback`.
/// Leaves out the other parts, because anybody who requests a link may be able to choose them: the first label if
/// `CALLBACK_ORIGINS` contains a wildcard, and the port if it contains `http://localhost:*`.
pub(crate) fn portal_host(callback_url: &CallbackUrl) -> &str {
    let host = callback_url.host();
    // The public suffix list would treat the last parts of an IP address as a domain.
    let is_name = host.starts_with(|c: char| c != '[') && host.parse::<std::net::IpAddr>().is_err();
    psl::domain_str(host).filter(|_| is_name).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_a_requester_can_choose_are_left_out() {
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
