//! The settings: read from the environment as text, then judged together, so that all faults are told at once.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use clap::Args;
use outbox::{
    EnqueuePolicy, LONGEST_DUPLICATE_WINDOW, LONGEST_REPORT_AGE, Quota, Quotas, parse_duration,
    settings::{Fault, Faults},
};
use secrecy::{ExposeSecret as _, SecretString};
use tracing_subscriber::EnvFilter;

use crate::{
    callback::{
        allowed_origins::AllowedOrigins,
        next::{NextPrefixes, parse_path},
    },
    ip_limit::{client_ip::TrustedProxies, limiter::QuotaOverrides},
};

/// What Mailgun is given at least to deliver a mail, after the job's deadline and before its link is stale.
const DELIVERY_TIME: Duration = Duration::from_secs(5 * 60);

/// Clocks may differ by as much.
const SHORTEST_WEBHOOK_AGE: Duration = Duration::from_mins(5);

/// The settings as text. `--help` shows what stands here.
#[derive(Debug, Args)]
pub struct RawSettings {
    /// Postgres, required. Example: postgres://api:secret@db.internal/outbox
    #[arg(long, env, hide_env_values = true, value_name = "URL", value_parser = secret)]
    database_url: Option<SecretString>,
    /// Most connections to Postgres, 1 to 1000, and 3 more for commits. Example: 10
    #[arg(long, env, default_value = "10", value_name = "NUMBER")]
    database_max_connections: String,
    /// Whether to bring the tables up to date at the start. Example: false
    #[arg(long, env, default_value = "true", value_name = "BOOL")]
    migrate_on_start: String,
    /// How long a link works: MAILER_OTP_EXP of Supabase Auth. At least JOB_DEADLINE and five minutes. Example: 1h
    #[arg(long, env, default_value = "1h", value_name = "TIME")]
    link_lifetime: String,
    /// How the log is written: text or json. Example: json
    #[arg(long, env, default_value = "text", value_name = "FORMAT")]
    log_format: String,
    /// What is logged. Example: info,api=debug
    #[arg(long, env, default_value = "info", value_name = "FILTER")]
    rust_log: String,
    /// Address of the public listener; port 0 takes any. Example: 0.0.0.0:8080
    #[arg(long, env, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    api_listen: String,
    /// Address of the private listener (metrics and health). Example: 10.0.0.5:8082
    #[arg(long, env, default_value = "127.0.0.1:8082", value_name = "ADDRESS")]
    api_private_listen: String,
    /// Portals that links may lead back to, required: origins, with commas; the first label may be `*`;
    /// `http://localhost:*` for development. Example: `https://example.com,https://*.preview.example.com`
    #[arg(long, env, value_name = "ORIGINS")]
    callback_origins: Option<String>,
    /// The portals' callback page. Example: /auth/callback
    #[arg(long, env, default_value = "/auth/callback", value_name = "PATH")]
    callback_path: String,
    /// Parts of the portal that `callback_next` may name, with commas; default: all. Example: /app,/docs
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "PATHS")]
    callback_next_prefixes: String,
    /// Networks of the proxies (and portal back ends) whose X-Forwarded-For is believed, with commas; default: none.
    /// Example: 10.0.0.0/8,fd00::/8
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NETWORKS")]
    trusted_proxies: String,
    /// Requests per IPv4 address or IPv6 /64. Example: 30/1m
    #[arg(long, env, default_value = "30/1m", value_name = "QUOTA")]
    ip_rate_limit: String,
    /// Networks with another quota, such as a portal's back end, with commas; default: none.
    /// Example: 10.1.0.0/16=600/1m
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NETWORK=QUOTA")]
    ip_rate_limit_overrides: String,
    /// Requests per recipient, whoever asks; all must hold. Example: 10/15m,30/1d
    #[arg(long, env, default_value = "10/15m,30/1d", value_name = "QUOTAS")]
    recipient_rate_limit: String,
    /// Requests per recipient from one network; all must hold. Example: 3/15m,10/1d
    #[arg(long, env, default_value = "3/15m,10/1d", value_name = "QUOTAS")]
    recipient_client_rate_limit: String,
    /// Within this time the same request again is a double click. Example: 10s
    #[arg(long, env, default_value = "10s", value_name = "TIME")]
    duplicate_window: String,
    /// A mail that is not sent by then is not sent at all. Example: 15m
    #[arg(long, env, default_value = "15m", value_name = "TIME")]
    job_deadline: String,
    /// With more jobs than this waiting, no more are accepted. Example: 100000
    #[arg(long, env, default_value = "100000", value_name = "NUMBER")]
    queue_limit: String,
    /// Keys of Mailgun's webhooks, with commas while they change; without one, no webhooks are taken.
    /// Example: key-3ax6xnjp29jd6fds4gc373sgvjxteol0
    #[arg(long, env, hide_env_values = true, value_name = "KEYS", value_parser = secret)]
    mailgun_webhook_signing_key: Option<SecretString>,
    /// A webhook signed longer ago is refused, 5m to 1d; Mailgun tries for 8 hours. Example: 12h
    #[arg(long, env, default_value = "12h", value_name = "TIME")]
    webhook_max_age: String,
    /// The domain that mail is sent from: events of others are refused; default: none are. Example: mg.example.com
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "DOMAIN")]
    mailgun_domain: String,
}

/// The settings, all of them good.
#[derive(Debug)]
pub struct Settings {
    pub(crate) database_url: SecretString,
    pub(crate) database_max_connections: u32,
    pub(crate) migrate_on_start: bool,
    /// How the log is written.
    pub log_format: LogFormat,
    /// What is logged, a good `EnvFilter`.
    pub log_filter: String,
    pub(crate) listen: SocketAddr,
    pub(crate) private_listen: SocketAddr,
    pub(crate) allowed_origins: AllowedOrigins,
    pub(crate) callback_path: String,
    pub(crate) callback_next_prefixes: NextPrefixes,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) ip_rate_limit: Quota,
    pub(crate) ip_rate_limit_overrides: QuotaOverrides,
    pub(crate) admission: EnqueuePolicy,
    pub(crate) queue_limit: u32,
    pub(crate) webhooks: WebhookSettings,
}

/// What the settings say about webhooks.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// Any of these may have signed; without one there is no such route.
    pub(crate) signing_keys: Vec<SecretString>,
    /// A webhook signed longer ago is refused.
    pub(crate) max_age: Duration,
    /// The domain whose mail is ours, if it is known here.
    pub(crate) domain: Option<String>,
}

/// `LOG_FORMAT`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object a line.
    Json,
}

impl Settings {
    /// Judges the settings.
    ///
    /// # Errors
    /// All faults, in the order of `--help`.
    pub fn read(raw: &RawSettings) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        match read(raw, &mut faults) {
            Some(settings) if faults.is_empty() => Ok(settings),
            _ => Err(faults.into_vec()),
        }
    }
}

/// Good settings, or none and the faults why. Every setting is looked at before the first `?`.
fn read(raw: &RawSettings, faults: &mut Faults) -> Option<Settings> {
    let database_url = read_database_url(raw, faults);
    let connections = faults.parse("DATABASE_MAX_CONNECTIONS", "10", &raw.database_max_connections);
    let connections = within(faults, "DATABASE_MAX_CONNECTIONS", "10", connections, 1, 1_000);
    let migrate_on_start = faults.parse("MIGRATE_ON_START", "true", &raw.migrate_on_start);
    let log_format = faults.read("LOG_FORMAT", "json", parse_log_format(&raw.log_format));
    let log_filter = faults.read("RUST_LOG", "info", EnvFilter::try_new(&raw.rust_log));
    let listen = faults.parse("API_LISTEN", "127.0.0.1:8080", &raw.api_listen);
    let private_listen = faults.parse("API_PRIVATE_LISTEN", "127.0.0.1:8082", &raw.api_private_listen);
    let callback = read_callback(raw, faults);
    let trusted_proxies = faults.parse("TRUSTED_PROXIES", "10.0.0.0/8", &raw.trusted_proxies);
    let ip_rate_limit = faults.parse("IP_RATE_LIMIT", "30/1m", &raw.ip_rate_limit);
    let ip_rate_limit_overrides =
        faults.parse("IP_RATE_LIMIT_OVERRIDES", "10.1.0.0/16=600/1m", &raw.ip_rate_limit_overrides);
    let admission = read_admission(raw, faults);
    let queue_limit = faults.parse("QUEUE_LIMIT", "100000", &raw.queue_limit);
    let queue_limit = within(faults, "QUEUE_LIMIT", "100000", queue_limit, 1, 100_000_000);
    let webhooks = read_webhooks(raw, faults);
    let (allowed_origins, callback_path, callback_next_prefixes) = callback?;
    log_filter?;
    Some(Settings {
        database_url: database_url?,
        database_max_connections: connections?,
        migrate_on_start: migrate_on_start?,
        log_format: log_format?,
        log_filter: raw.rust_log.clone(),
        listen: listen?,
        private_listen: private_listen?,
        allowed_origins,
        callback_path,
        callback_next_prefixes,
        trusted_proxies: trusted_proxies?,
        ip_rate_limit: ip_rate_limit?,
        ip_rate_limit_overrides: ip_rate_limit_overrides?,
        admission: admission?,
        queue_limit: queue_limit?,
        webhooks: webhooks?,
    })
}

fn read_database_url(raw: &RawSettings, faults: &mut Faults) -> Option<SecretString> {
    const EXAMPLE: &str = "postgres://api:secret@db.internal/outbox";
    let text = raw.database_url.as_ref().map(|url| url.expose_secret().trim());
    faults.required("DATABASE_URL", EXAMPLE, text.as_ref())?;
    faults.read("DATABASE_URL", EXAMPLE, outbox::check_url(text?))?;
    raw.database_url.clone()
}

fn read_callback(raw: &RawSettings, faults: &mut Faults) -> Option<(AllowedOrigins, String, NextPrefixes)> {
    const EXAMPLE: &str = "https://example.com";
    let origins = faults.required("CALLBACK_ORIGINS", EXAMPLE, raw.callback_origins.as_ref());
    let origins = origins.and_then(|text| faults.parse("CALLBACK_ORIGINS", EXAMPLE, text));
    let path = faults.read("CALLBACK_PATH", "/auth/callback", parse_path(raw.callback_path.trim()));
    let prefixes = faults.parse("CALLBACK_NEXT_PREFIXES", "/app,/docs", &raw.callback_next_prefixes);
    Some((origins?, path?, prefixes?))
}

fn read_admission(raw: &RawSettings, faults: &mut Faults) -> Option<EnqueuePolicy> {
    let per_recipient: Option<Quotas> = faults.parse("RECIPIENT_RATE_LIMIT", "10/15m,30/1d", &raw.recipient_rate_limit);
    let per_recipient_and_client: Option<Quotas> =
        faults.parse("RECIPIENT_CLIENT_RATE_LIMIT", "3/15m,10/1d", &raw.recipient_client_rate_limit);
    let duplicate_window = faults.read("DUPLICATE_WINDOW", "10s", parse_duration(&raw.duplicate_window));
    if duplicate_window.is_some_and(|window| window > LONGEST_DUPLICATE_WINDOW) {
        faults.add("DUPLICATE_WINDOW", "10s", "is over an hour".to_owned());
    }
    let deadline = faults.read("JOB_DEADLINE", "15m", parse_duration(&raw.job_deadline));
    let lifetime = faults.read("LINK_LIFETIME", "1h", parse_duration(&raw.link_lifetime));
    if let (Some(deadline), Some(lifetime)) = (deadline, lifetime)
        && lifetime < deadline + DELIVERY_TIME
    {
        let problem = "is less than JOB_DEADLINE and five minutes: a late mail would bring a dead link".to_owned();
        faults.add("LINK_LIFETIME", "1h", problem);
    }
    Some(EnqueuePolicy {
        per_recipient: per_recipient?,
        per_recipient_and_client: per_recipient_and_client?,
        duplicate_window: duplicate_window?,
        deadline: deadline?,
    })
}

fn read_webhooks(raw: &RawSettings, faults: &mut Faults) -> Option<WebhookSettings> {
    let keys = raw.mailgun_webhook_signing_key.as_ref().map(|keys| keys.expose_secret()).unwrap_or_default();
    let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(SecretString::from);
    let max_age = faults.read("WEBHOOK_MAX_AGE", "12h", parse_duration(&raw.webhook_max_age))?;
    if !(SHORTEST_WEBHOOK_AGE..=LONGEST_REPORT_AGE).contains(&max_age) {
        faults.add("WEBHOOK_MAX_AGE", "12h", "is not from 5m to 1d".to_owned());
        return None;
    }
    let domain = raw.mailgun_domain.trim();
    let domain = (!domain.is_empty()).then(|| domain.to_owned());
    Some(WebhookSettings { signing_keys: keys.collect(), max_age, domain })
}

fn within(
    faults: &mut Faults,
    variable: &'static str,
    example: &'static str,
    value: Option<u32>,
    least: u32,
    most: u32,
) -> Option<u32> {
    let value = value?;
    if (least..=most).contains(&value) {
        return Some(value);
    }
    faults.add(variable, example, format!("`{value}` is not from {least} to {most}"));
    None
}

fn parse_log_format(text: &str) -> Result<LogFormat, String> {
    match text.trim() {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        other => Err(format!("`{other}` is neither text nor json")),
    }
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}
