//! The settings for finding a caller's address: `TRUSTED_PROXIES`, and at most one of `CLIENT_IP_HEADER` and
//! `TRUSTED_PROXY_HOPS`.

use std::num::NonZeroUsize;

use poem::http::{HeaderName, header};
use program::SettingErrors;

use super::ApiArguments;
use crate::ip_limit::{
    client_ip::{ClientIpFinder, ClientIpSource},
    forwarded::FORWARDED_FOR,
    trusted_proxies::TrustedProxies,
};

const HEADER: (&str, &str) = ("CLIENT_IP_HEADER", "Fly-Client-IP");
const HOPS: (&str, &str) = ("TRUSTED_PROXY_HOPS", "2");
/// Maximum value of `TRUSTED_PROXY_HOPS`. No realistic setup has more proxies in a row.
const MAX_HOPS: usize = 16;

pub(super) fn read(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<ClientIpFinder> {
    let trusted: Option<TrustedProxies> = errors.parse("TRUSTED_PROXIES", "10.0.0.0/8", &arguments.trusted_proxies);
    let source = read_source(arguments, errors);
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

fn read_source(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<ClientIpSource> {
    let (header, hops) = (arguments.client_ip_header.trim(), arguments.trusted_proxy_hops.trim());
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

/// Parses the name of a header that holds one address.
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
