//! Reads addresses from the headers in which proxies report their callers.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

/// The header to which each proxy appends the address of its caller.
pub const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The entries of all lines of `X-Forwarded-For`, the last entry first. Empty entries are included, because a proxy
/// that does not know its caller's address may add an empty entry.
pub fn entries_from_the_right(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
    // Split the bytes of each line into entries. If a line were decoded as a whole, one invalid byte from the client
    // would hide the address that a proxy appended to that line, and the proxy would count as the client.
    lines.into_iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','))
}

/// Returns the value of a header, or `None` if the header is missing or repeated.
pub(super) fn only_line<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut lines = headers.get_all(name).iter();
    let first = lines.next()?;
    lines.next().is_none().then_some(first.as_bytes())
}

/// Parses an address with or without a port. An IPv6 address may have brackets and a zone. IPv4-mapped IPv6 addresses
/// are returned as IPv4. Returns `None` for anything else, and for `0.0.0.0` and `::`.
#[must_use]
pub fn parse_entry(entry: &[u8]) -> Option<IpAddr> {
    let entry = str::from_utf8(entry).ok()?.trim_ascii();
    let ip = match entry.strip_prefix('[') {
        Some(rest) => {
            let (ip, port) = rest.split_once(']')?;
            let is_port_valid =
                port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
            parse_with_zone(ip).filter(|ip| ip.is_ipv6() && is_port_valid)
        }
        None => parse_with_zone(entry).or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    ip.map(|ip| ip.to_canonical()).filter(|ip| !ip.is_unspecified())
}

/// Parses an address. An IPv6 address may include the name of an interface: `fe80::1%eth0`.
fn parse_with_zone(text: &str) -> Option<IpAddr> {
    let Some((ip, zone)) = text.split_once('%') else { return text.parse().ok() };
    let is_name =
        |zone: &str| !zone.is_empty() && zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    ip.parse().ok().filter(|ip: &IpAddr| ip.is_ipv6() && is_name(zone))
}
