//! The options of `magic-link-worker check --peer`, which shows whose rate limit a request counts against.

use std::{
    ffi::{OsStr, OsString},
    net::IpAddr,
    os::unix::ffi::OsStrExt as _,
};

use callers::{CallerSettings, ClientIpFinder, parse_entry};
use poem::http::{HeaderMap, HeaderName, HeaderValue};
use program::SettingErrors;

use super::CheckArguments;

/// A request that an operator describes, and the api's settings for finding a request's client.
pub struct CallerQuestion {
    /// Finds the client, as configured by the api's settings.
    pub finder: ClientIpFinder,
    /// The address from which the request reaches the api.
    pub peer: IpAddr,
    /// The headers of the request, as the operator gave them.
    pub headers: HeaderMap,
    /// Whether to print JSON.
    pub is_json: bool,
}

impl CallerQuestion {
    /// Parses the options and the api's settings. Adds an error for each fault. The error messages never contain the
    /// value of a header.
    pub fn read(options: &CheckArguments, errors: &mut SettingErrors) -> Option<Self> {
        let settings = CallerSettings {
            trusted_proxies: &options.trusted_proxies,
            client_ip_header: &options.client_ip_header,
            trusted_proxy_hops: &options.trusted_proxy_hops,
        };
        let finder = settings.read(errors);
        let peer = options.peer.as_deref().unwrap_or_default();
        let peer =
            parse_entry(peer.as_bytes()).ok_or_else(|| format!("`{}` is not an IP address", peer.escape_debug()));
        let peer = errors.read("--peer", "10.0.0.7", peer);
        let headers = read_headers(&options.from_header, errors);
        Some(Self { finder: finder?, peer: peer?, headers: headers?, is_json: options.json })
    }
}

const EXAMPLE_HEADER: &str = "X-Forwarded-For: 198.51.100.3, 10.0.0.5";

fn read_headers(texts: &[OsString], errors: &mut SettingErrors) -> Option<HeaderMap> {
    let mut headers = Some(HeaderMap::new());
    for (number, text) in (1..).zip(texts) {
        let parsed = parse_header(text).map_err(|problem| format!("header {number} {problem}"));
        let parsed = errors.read("--from-header", EXAMPLE_HEADER, parsed);
        headers = headers.zip(parsed).and_then(|(mut headers, (name, value))| {
            let added = headers
                .try_append(name, value)
                .map_err(|_| format!("header {number} exceeds the maximum number of headers"));
            errors.read("--from-header", EXAMPLE_HEADER, added).map(|_| headers)
        });
    }
    headers
}

/// Parses a header as it is written in a request: the name, a colon and the value.
fn parse_header(text: &OsStr) -> Result<(HeaderName, HeaderValue), &'static str> {
    let text = text.as_bytes();
    let colon = text.iter().position(|byte| *byte == b':').ok_or("has no colon after its name")?;
    let (name, value) = (text[..colon].trim_ascii_start(), text[colon + 1..].trim_ascii());
    let name = HeaderName::from_bytes(name).map_err(|_| "has an invalid name")?;
    let value = HeaderValue::from_bytes(value)
        .map_err(|_| "contains a control character, such as a line break: pass each header in its own --from-header")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_a_name_a_colon_and_any_text_without_control_characters() {
        for (text, name, value) in [
            ("X-Forwarded-For: 198.51.100.3, 10.0.0.5", "x-forwarded-for", "198.51.100.3, 10.0.0.5"),
            (" x-real-ip:2001:db8::1 ", "x-real-ip", "2001:db8::1"),
            ("X-Forwarded-For:", "x-forwarded-for", ""),
            ("X-Forwarded-For: \u{202e}evil", "x-forwarded-for", "\u{202e}evil"),
        ] {
            let (parsed, bytes) = parse_header(text.as_ref()).unwrap();
            assert_eq!((parsed.as_str(), bytes.as_bytes()), (name, value.as_bytes()), "{text:?}");
        }
        for (text, problem) in [
            ("198.51.100.3", "has no colon"),
            ("", "has no colon"),
            (": 198.51.100.3", "has an invalid name"),
            ("X-Forwarded-For : 198.51.100.3", "has an invalid name"),
            ("GET / HTTP/1.1\r\nHost: x", "has an invalid name"),
            ("X-Forwarded-For: a\r\nX-Real-IP: b", "contains a control character"),
            ("X-Forwarded-For: \u{1b}[2J", "contains a control character"),
        ] {
            assert!(parse_header(text.as_ref()).unwrap_err().starts_with(problem), "{text:?}");
        }
    }
}
