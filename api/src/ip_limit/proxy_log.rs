//! Warns about a proxy that is probably missing from `TRUSTED_PROXIES`, and decides which addresses may be logged.

use std::{net::IpAddr, sync::Once};

use callers::{ClientIpFinder, is_private};
use poem::http::{HeaderMap, HeaderName};

/// Warns once if an untrusted peer with a private address sends a forwarding header, because the peer is probably a
/// proxy that is missing from `TRUSTED_PROXIES`. All clients of such a proxy share one bucket.
pub(super) fn warn_about_untrusted_proxy(peer: IpAddr, headers: &HeaderMap, header: &HeaderName) {
    static WARNED: Once = Once::new();
    if is_private(peer) && headers.contains_key(header) {
        WARNED.call_once(|| {
            tracing::warn!(
                %peer,
                %header,
                "ignored a forwarding header from a private address that is not in TRUSTED_PROXIES: \
                 if this is your proxy, add it; until then, all callers behind it share one rate limit"
            );
        });
    }
}

/// Returns the client's address if it may be logged, that is, if it belongs to a trusted proxy or to a peer in a
/// private network. Any other address could belong to a person.
pub(super) fn loggable(finder: &ClientIpFinder, client: IpAddr, peer: IpAddr) -> Option<IpAddr> {
    let is_proxy = finder.trusts(client) || (client == peer.to_canonical() && is_private(client));
    is_proxy.then_some(client)
}

#[cfg(test)]
mod tests {
    use callers::ClientIpSource;

    use super::*;

    #[test]
    fn only_addresses_of_proxies_and_private_peers_may_be_logged() {
        let finder = ClientIpFinder::new("10.0.0.0/8, 203.0.113.99".parse().unwrap(), ClientIpSource::default());
        for (client, peer, expected) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("203.0.113.99", "10.0.0.1", true),
            ("192.168.0.1", "192.168.0.1", true),
            ("fd00::1", "fd00::1", true),
            ("192.168.0.1", "10.0.0.1", false),
            ("203.0.113.7", "203.0.113.7", false),
            ("203.0.113.7", "10.0.0.1", false),
        ] {
            let (client, peer): (IpAddr, IpAddr) = (client.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(loggable(&finder, client, peer), expected.then_some(client), "{client} {peer}");
        }
    }
}
