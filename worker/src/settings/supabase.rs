//! The settings for Supabase Auth.

use std::str::FromStr;

use program::SettingErrors;
use secrecy::SecretString;
use url::Url;

use super::{
    ConnectionSettings, ProxySettings, WorkerArguments,
    connection::read_certificates,
    supabase_key::supabase_key,
    values::{origin, upstream_url},
};

/// The settings for Supabase Auth.
pub struct SupabaseClientSettings {
    /// The project's URL, without `/auth/v1`.
    pub url: Url,
    /// The service role's JWT, or an `sb_secret_…` key.
    pub key: SecretString,
    /// Origins that links may lead to, serialised as browsers serialise them.
    pub link_origins: Vec<String>,
    /// How to connect to Supabase Auth.
    pub connection: ConnectionSettings,
    /// Maximum number of calls at a time.
    pub concurrency: usize,
    /// Whether Supabase creates an account for an unknown address.
    pub signups: Signups,
}

/// What happens to a request for an unknown address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signups {
    /// Supabase creates an account when the worker calls `generate_link` with the type `magiclink`, and the link is
    /// mailed.
    Allow,
    /// For an unknown address, Supabase creates nothing, and no mail is sent.
    Deny,
}

impl FromStr for Signups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(format!("`{text}` is neither allow nor deny")),
        }
    }
}

impl SupabaseClientSettings {
    pub(super) fn read(
        arguments: &WorkerArguments,
        proxy: Option<&ProxySettings>,
        errors: &mut SettingErrors,
    ) -> Option<Self> {
        const URL: &str = "https://abcdefghijklmnopqrst.supabase.co";
        let url = errors
            .required("SUPABASE_URL", URL, arguments.supabase_url.as_ref())
            .and_then(|text| errors.read("SUPABASE_URL", URL, upstream_url(text)));
        let key = errors
            .required("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_…", arguments.supabase_service_role_key.as_ref())
            .and_then(|key| errors.read("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_…", supabase_key(key)));
        let link_origins = match arguments.link_origins.as_deref().map(str::trim) {
            None | Some("") => url.as_ref().map(|url| vec![url.origin().ascii_serialization()]),
            Some(list) => errors.read("LINK_ORIGINS", URL, list.split(',').map(origin).collect::<Result<Vec<_>, _>>()),
        };
        let extra_roots = match arguments.supabase_ca_file.as_deref().map(str::trim) {
            None | Some("") => Some(Vec::new()),
            Some(path) => errors.read("SUPABASE_CA_FILE", "/etc/ssl/company-ca.pem", read_certificates(path)),
        };
        let concurrency = errors.in_range("SUPABASE_CONCURRENCY", "16", &arguments.supabase_concurrency, 1..=1_000);
        let signups = errors.parse("SIGNUPS", "deny", &arguments.signups);
        Some(Self {
            url: url?,
            key: key?,
            link_origins: link_origins?,
            connection: ConnectionSettings { proxy: proxy.cloned(), extra_roots: extra_roots? },
            concurrency: concurrency?,
            signups: signups?,
        })
    }
}
