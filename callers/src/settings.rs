//! The settings for finding a client's address: `TRUSTED_PROXIES`, and at most one of `CLIENT_IP_HEADER` and
//! `TRUSTED_PROXY_HOPS`.

use std::num::NonZeroUsize;

use http::{HeaderName, header};
use program::SettingErrors;

use super::{
    client_ip::{ClientIpFinder, ClientIpSource},
    forwarded::FORWARDED_FOR,
    trusted_proxies::TrustedProxies,
};

/// The settings as text. A blank string means that the setting is not set.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallerSettings<'a> {
    /// `TRUSTED_PROXIES`: networks, separated by commas.
    pub trusted_proxies: &'a str,
    /// `CLIENT_IP_HEADER`: the name of a header.
    pub client_ip_header: &'a str,
    /// `TRUSTED_PROXY_HOPS`: a number from 1 to 16.
    pub trusted_proxy_hops: &'a str,
}

const HEADER: (&str, &str) = ("CLIENT_IP_HEADER", "Fly-Client-IP");
const HOPS: (&str, &str) = ("TRUSTED_PROXY_HOPS", "2");
/// Maximum value of `TRUSTED_PROXY_HOPS`. No realistic setup has a longer chain of proxies.
const MAX_HOPS: usize = 16;

impl CallerSettings<'_> {
    /// Parses the settings. Adds an error to `errors` for each fault.
    pub fn read(&self, errors: &mut SettingErrors) -> Option<ClientIpFinder> {
        let trusted: Option<TrustedProxies> = errors.parse("TRUSTED_PROXIES", "10.0.0.0/8", self.trusted_proxies);
        let source = self.read_source(errors);
        let (trusted, source) = (trusted?, source?);
        let (variable, example) = match source {
            ClientIpSource::ForwardedFor => return Some(ClientIpFinder::new(trusted, source)),
            ClientIpSource::ForwardedForHops(_) => HOPS,
            ClientIpSource::Header(_) => HEADER,
        };
        if trusted.is_empty() {
            let problem = "needs TRUSTED_PROXIES: only a proxy that is listed there is trusted".to_owned();
            errors.add(variable, example, problem);
        }
        Some(ClientIpFinder::new(trusted, source))
    }

    fn read_source(&self, errors: &mut SettingErrors) -> Option<ClientIpSource> {
        let (header, hops) = (self.client_ip_header.trim(), self.trusted_proxy_hops.trim());
        match (header.is_empty(), hops.is_empty()) {
            (true, true) => Some(ClientIpSource::ForwardedFor),
            (false, true) => errors.read(HEADER.0, HEADER.1, parse_header(header)).map(ClientIpSource::Header),
            (true, false) => {
                let hops = errors.in_range(HOPS.0, HOPS.1, hops, 1..=MAX_HOPS);
                hops.and_then(NonZeroUsize::new).map(ClientIpSource::ForwardedForHops)
            }
            (false, false) => {
                let problem = "cannot be combined with TRUSTED_PROXY_HOPS: set only one of them".to_owned();
                errors.add(HEADER.0, HEADER.1, problem);
                None
            }
        }
    }
}

/// Parses `CLIENT_IP_HEADER`: the name of a header that contains a single address.
fn parse_header(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text.parse().map_err(|_| format!("`{text}` is not the name of a header"))?;
    if name == FORWARDED_FOR {
        return Err(format!(
            "`{text}` contains a list: to read it, unset CLIENT_IP_HEADER and set TRUSTED_PROXIES, with or without \
             TRUSTED_PROXY_HOPS"
        ));
    }
    if name == header::FORWARDED {
        return Err(format!(
            "`{text}` is not supported: have the proxy set X-Forwarded-For, or a header that contains only the address"
        ));
    }
    Ok(name)
}
