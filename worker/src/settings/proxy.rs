//! `HTTPS_PROXY` and `NO_PROXY`: the proxy for calls to the upstreams. Calls to this machine never use the proxy. Plain
//! http is allowed only for this machine, so `HTTP_PROXY` would have no effect and is not read.

use std::env;

use poem::http::Uri;
use program::SettingErrors;
use reqwest::{NoProxy, Proxy};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::WorkerArguments;

/// A proxy. Has no `Debug`, because its URL may contain a password.
#[derive(Clone)]
pub struct ProxySettings {
    url: SecretString,
    /// Hosts that are called directly, in the format of `NO_PROXY`.
    direct: String,
    /// Host and port of the proxy, for the log.
    pub address: String,
}

/// The hosts for which [`is_loopback`](super::is_loopback) returns true, in the format of `NO_PROXY`.
const THIS_MACHINE: &str = "localhost,127.0.0.0/8,::1";

impl ProxySettings {
    /// Reads the proxy settings. Returns `None` if no proxy is set, or if its URL is invalid. Adds an error for an
    /// invalid URL.
    pub(super) fn read(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Self> {
        // Upper-case and lower-case names are both common, but clap supports only one variable per setting. So read the
        // lower-case variables here.
        let (variable, url) =
            first_set([("HTTPS_PROXY", arguments.https_proxy.clone()), ("https_proxy", env::var("https_proxy").ok())])?;
        let no_proxy = [("NO_PROXY", arguments.no_proxy.clone()), ("no_proxy", env::var("no_proxy").ok())];
        let direct = first_set(no_proxy).map(|(_, hosts)| hosts).unwrap_or_default();
        errors.read(variable, "http://proxy.internal:3128", Self::parse(&url, &direct))
    }

    /// Parses the URL of a proxy. The error messages never contain the URL.
    fn parse(text: &str, direct: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let url = Url::parse(&url).map_err(|_| "is not a valid proxy URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must be the URL of an HTTP proxy, beginning with http:// or https://");
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err("must be only the address of a proxy, without a path, query or fragment");
        }
        // If reqwest could not parse the URL, it would silently connect without the proxy.
        url.as_str().parse::<Uri>().map_err(|_| "is not a valid proxy URL")?;
        let address = format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        Ok(Self { url: String::from(url).into(), direct: format!("{direct},{THIS_MACHINE}"), address })
    }

    /// The password in the URL, still percent-encoded. `None` if the URL contains no password.
    pub(crate) fn password(&self) -> Option<SecretString> {
        Url::parse(self.url.expose_secret()).ok().and_then(|url| Some(url.password()?.into()))
    }

    /// The proxy for an HTTP client.
    ///
    /// # Errors
    /// reqwest cannot use the URL.
    pub(crate) fn to_reqwest(&self) -> reqwest::Result<Proxy> {
        Ok(Proxy::https(self.url.expose_secret())?.no_proxy(NoProxy::from_string(&self.direct)))
    }
}

/// The first variable whose value is not blank.
fn first_set(variables: [(&'static str, Option<String>); 2]) -> Option<(&'static str, String)> {
    let set =
        |(name, value): (&'static str, Option<String>)| Some((name, value.filter(|text| !text.trim().is_empty())?));
    variables.into_iter().find_map(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_an_http_url_or_a_host_and_port() {
        for (text, address) in [
            ("http://proxy.internal:3128", "proxy.internal:3128"),
            (" http://proxy.internal ", "proxy.internal:80"),
            ("https://proxy.internal/", "proxy.internal:443"),
            ("proxy.internal:3128", "proxy.internal:3128"),
            ("http://ann:p%40ss@10.0.0.1:3128", "10.0.0.1:3128"),
            ("http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
        ] {
            assert_eq!(ProxySettings::parse(text, "").map(|proxy| proxy.address).as_deref(), Ok(address), "{text}");
        }
    }

    #[test]
    fn an_invalid_proxy_url_is_rejected_and_not_shown() {
        for text in [
            "socks5://ann:sesame@proxy.internal",
            "ftp://ann:sesame@proxy.internal",
            "http://ann:sesame@",
            "http://ann:sesame@proxy:port",
            "http://ann:sesame@proxy.internal/path",
            "http://ann:sesame@proxy.internal?a=b",
            "http://ann:sesame@proxy.internal/#a",
            "http://ann:sesame@pro xy",
        ] {
            let problem = ProxySettings::parse(text, "").err().unwrap();
            assert!(!problem.contains("sesame") && !problem.contains("ann"), "{text}: {problem}");
        }
    }

    #[test]
    fn the_first_variable_that_is_not_blank_is_used() {
        let value = |text: &str| Some(text.to_owned());
        assert_eq!(first_set([("A", value("a")), ("a", value("b"))]), Some(("A", "a".to_owned())));
        assert_eq!(first_set([("A", value(" ")), ("a", value("b"))]), Some(("a", "b".to_owned())));
        assert_eq!(first_set([("A", None), ("a", value(""))]), None);
    }
}
