//! The settings and options of `magic-link-worker check`.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use ::portals::{AllowedOrigins, Portal, address_of_sender, parse_path};
use confirm::PublicUrl;
use outbox::{CallbackUrl, Email, parse_duration};
use program::SettingErrors;
use words::WordsFolder;

use super::{CheckArguments, WorkerArguments, WorkerSettings, links::given, portals::read_file};

/// What `magic-link-worker check` checks, and how.
pub struct CheckSettings {
    /// The worker's settings.
    pub worker: WorkerSettings,
    /// `PUBLIC_URL`.
    pub public_url: Option<PublicUrl>,
    /// `JOB_DEADLINE`, if it was given.
    pub job_deadline: Option<Duration>,
    /// The portals' known callbacks.
    pub callbacks: Vec<CheckedCallback>,
    /// The domains of all senders, without duplicates. The domain of `MAIL_FROM` comes first.
    pub sender_domains: Vec<String>,
    /// The account to request a real link for.
    pub account: Option<Email>,
    /// The DNS server to query. If `None`, the system's DNS server is used.
    pub dns_server: Option<SocketAddr>,
    /// Whether to print JSON.
    pub is_json: bool,
}

/// A callback to check against Supabase's redirect allow list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedCallback {
    /// The id of the portal in `PORTALS_FILE`, if any.
    pub portal: Option<String>,
    /// Origin and path. If the allowed origin contains a wildcard, this is a matching example.
    pub url: String,
    /// Origin and path as an entry for the allow list, including any wildcard.
    pub entry: String,
    /// Whether the portal's links go through Supabase. If they do not, the allow list does not matter.
    pub leads_through_supabase: bool,
}

impl CheckSettings {
    /// Parses and checks all settings and options. Adds an error for each fault.
    pub fn read(arguments: &WorkerArguments, options: &CheckArguments, errors: &mut SettingErrors) -> Option<Self> {
        let account =
            given(options.address.as_deref()).map(|text| errors.read("--as", "you@example.com", Email::parse(text)));
        let dns_server = given(options.dns.as_deref()).map(|text| errors.read("--dns", "1.1.1.1", parse_server(text)));
        let job_deadline =
            given(options.job_deadline.as_deref()).map(|text| errors.read("JOB_DEADLINE", "15m", parse_duration(text)));
        let public_url = given(arguments.public_url.as_deref()).and_then(|text| text.parse().ok());
        let path = errors.read("CALLBACK_PATH", "/auth/callback", parse_path(options.callback_path.trim()));
        let worker = WorkerSettings::read(arguments, errors)?;
        let portals = read_portals(arguments, errors)?;
        let callbacks = read_callbacks(options, &worker, &portals, path.as_deref(), errors);
        let mut sender_domains = vec![domain_of(&worker.mailgun.from)];
        for from in portals.iter().filter_map(|portal| portal.from.as_deref()) {
            let domain = domain_of(from);
            if !sender_domains.contains(&domain) {
                sender_domains.push(domain);
            }
        }
        path?;
        Some(Self {
            job_deadline: valid(job_deadline)?,
            callbacks: callbacks?,
            sender_domains,
            account: valid(account)?,
            dns_server: valid(dns_server)?,
            public_url,
            worker,
            is_json: options.json,
        })
    }
}

/// `Some` with the value, or `Some(None)` if none was given. `None` if the given value is invalid.
fn valid<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    value.map_or(Some(None), |value| value.map(Some))
}

/// The portals in `PORTALS_FILE`. Empty if `PORTALS_FILE` is not set.
fn read_portals(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Vec<Portal>> {
    let Some(file) = given(arguments.portals_file.as_deref()) else { return Some(vec![]) };
    let words = WordsFolder::from_setting(arguments.mail_templates.as_deref()).ok();
    read_file(file.as_ref(), words.as_ref(), errors)
}

fn read_callbacks(
    options: &CheckArguments,
    worker: &WorkerSettings,
    portals: &[Portal],
    path: Option<&str>,
    errors: &mut SettingErrors,
) -> Option<Vec<CheckedCallback>> {
    let unknown = options.portal.iter().find(|id| !portals.iter().any(|portal| portal.id.to_string() == **id));
    if let Some(id) = unknown {
        errors.add("--portal", "shop", format!("PORTALS_FILE has no portal `{id}`"));
        return None;
    }
    let mut callbacks = vec![];
    let default = worker.links.default.style.leads_through_supabase();
    let is_chosen = |portal: &&Portal| options.portal.is_empty() || options.portal.contains(&portal.id.to_string());
    for portal in portals.iter().filter(is_chosen) {
        let id = portal.id.to_string();
        let links = worker.reloadable.portals.find(Some(&id));
        let leads_through_supabase = links.map_or(default, |it| it.links.style.leads_through_supabase());
        let path = portal.callback_path.as_deref().or(path)?;
        callbacks.extend(of_origins(&portal.origins, path, Some(&id), leads_through_supabase));
    }
    let origins = given(options.callback_origins.as_deref()).filter(|_| portals.is_empty());
    if let Some(text) = origins {
        let origins: AllowedOrigins = errors.parse("CALLBACK_ORIGINS", "https://portal.example.com", text)?;
        callbacks.extend(of_origins(&origins, path?, None, default));
    }
    for text in &options.callback {
        let url =
            errors.read("--callback", "https://portal.example.com/auth/callback", CallbackUrl::parse(text.trim()));
        let url = url?.origin_and_path();
        callbacks.push(CheckedCallback { portal: None, entry: url.clone(), url, leads_through_supabase: default });
    }
    Some(callbacks)
}

fn of_origins(
    origins: &AllowedOrigins,
    path: &str,
    portal: Option<&String>,
    leads_through_supabase: bool,
) -> Vec<CheckedCallback> {
    let of_origin = |(example, pattern): (String, String)| CheckedCallback {
        portal: portal.cloned(),
        url: format!("{example}{path}"),
        entry: format!("{pattern}{path}"),
        leads_through_supabase,
    };
    origins.examples().map(of_origin).collect()
}

fn domain_of(sender: &str) -> String {
    let address = address_of_sender(sender);
    address.rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase()).unwrap_or_default()
}

/// Parses an IP address, with or without a port.
fn parse_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    address.map_err(|_| format!("`{text}` must be an IP address, optionally with a port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_server_is_an_address_with_or_without_a_port() {
        for (text, address) in [
            ("1.1.1.1", "1.1.1.1:53"),
            ("127.0.0.1:5353", "127.0.0.1:5353"),
            ("::1", "[::1]:53"),
            ("[::1]:54", "[::1]:54"),
        ] {
            assert_eq!(parse_server(text).map(|address| address.to_string()).as_deref(), Ok(address));
        }
        assert!(parse_server("dns.example.com").is_err());
    }

    #[test]
    fn an_origin_with_a_wildcard_is_checked_with_an_example_and_listed_with_the_wildcard() {
        let origins: AllowedOrigins =
            "https://*.example.com:8443,http://localhost:*,https://a.example.com".parse().unwrap();
        let urls: Vec<_> = of_origins(&origins, "/cb", None, true).into_iter().map(|it| (it.url, it.entry)).collect();
        let pair = |url: &str, entry: &str| (url.to_owned(), entry.to_owned());
        assert_eq!(
            urls,
            [
                pair("https://preview.example.com:8443/cb", "https://*.example.com:8443/cb"),
                pair("http://localhost:3000/cb", "http://localhost:*/cb"),
                pair("https://a.example.com/cb", "https://a.example.com/cb"),
            ]
        );
    }
}
