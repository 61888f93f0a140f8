//! The settings, parsed once at startup. All bad settings are reported together, each with its variable and an example;
//! no error shows a secret.

mod arguments;
mod confirm_page;
mod connections;
pub(crate) mod defaults;
mod languages;
mod portals;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use callers::ClientIpFinder;
use outbox::{EnqueuePolicy, LONGEST_DUPLICATE_WINDOW, LONGEST_REPORT_AGE, Quota, Quotas, check_url, parse_duration};
use program::{LogSettings, SettingErrors};
use secrecy::{ExposeSecret as _, SecretString};

pub use arguments::{ApiArguments, ApiCommand};
pub(crate) use connections::ConnectionSettings;
pub(crate) use languages::OfferedLanguages;
use portals::CallbackSettings;
pub(crate) use portals::LiveSource;

use crate::{confirm_page::ConfirmSettings, ip_limit::limiter::QuotaOverrides, portal::live::LiveSettings};

/// Minimum time between a job's deadline and the expiry of its link, so that Mailgun has time to deliver a mail that it
/// accepted right at the deadline.
const DELIVERY_TIME: Duration = Duration::from_mins(5);

/// Minimum of `WEBHOOK_MAX_AGE`. The clocks of Mailgun and of this server may differ by that much.
const MIN_WEBHOOK_AGE: Duration = Duration::from_mins(5);

/// Everything that the api needs to serve requests.
#[derive(Debug)]
pub struct ApiSettings {
    pub(crate) database_url: SecretString,
    pub(crate) database_max_connections: u32,
    pub(crate) migrate_on_start: bool,
    /// How and what to log.
    pub log: LogSettings,
    pub(crate) listen: SocketAddr,
    pub(crate) private_listen: SocketAddr,
    pub(crate) connections: ConnectionSettings,
    /// Reloads the portals and the messages in `MAIL_TEMPLATES`.
    pub(crate) live_source: Arc<LiveSource>,
    /// The portals and the messages in `MAIL_TEMPLATES`, as loaded at startup.
    pub(crate) live: Arc<LiveSettings>,
    pub(crate) client_ips: ClientIpFinder,
    pub(crate) ip_rate_limit: Quota,
    pub(crate) ip_rate_limit_overrides: QuotaOverrides,
    pub(crate) admission: EnqueuePolicy,
    pub(crate) link_lifetime: Duration,
    pub(crate) queue_limit: u32,
    /// `None` if there is no confirm page.
    pub(crate) confirm: Option<ConfirmSettings>,
    pub(crate) webhooks: WebhookSettings,
}

/// The settings of the webhook endpoint.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// Keys with which a webhook may be signed. Without keys, every webhook gets a 404.
    pub(crate) signing_keys: Vec<SecretString>,
    /// Maximum age of a signature.
    pub(crate) max_age: Duration,
    /// The domain that mail is sent from. Events for other domains are refused; `None` accepts all domains.
    pub(crate) domain: Option<String>,
}

impl ApiSettings {
    /// Parses and checks all settings.
    ///
    /// # Errors
    /// All invalid settings, each with its variable and an example.
    pub fn read(arguments: &ApiArguments) -> Result<Self, SettingErrors> {
        let mut errors = SettingErrors::default();
        let settings = read_all(arguments, &mut errors);
        errors.into_result(settings)
    }
}

/// Reads every setting before the first `?`, so that all errors are reported.
fn read_all(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<ApiSettings> {
    let database_url = read_database_url(arguments, errors);
    let database_max_connections =
        errors.in_range("DATABASE_MAX_CONNECTIONS", "10", &arguments.database_max_connections, 1..=1_000);
    let migrate_on_start = errors.parse_bool("MIGRATE_ON_START", "true", &arguments.migrate_on_start);
    let log = LogSettings::read(&arguments.log_format, &arguments.rust_log, errors);
    let listen = errors.parse_address("API_LISTEN", "127.0.0.1:8080", &arguments.api_listen);
    let private_listen = errors.parse_address("API_PRIVATE_LISTEN", "127.0.0.1:8082", &arguments.api_private_listen);
    let connections = ConnectionSettings::read(arguments, errors);
    let callback = CallbackSettings::read(arguments, errors);
    let client_ips = arguments.callers().read(errors);
    let ip_rate_limit = errors.parse("IP_RATE_LIMIT", "30/1m", &arguments.ip_rate_limit);
    let ip_rate_limit_overrides =
        errors.parse("IP_RATE_LIMIT_OVERRIDES", "10.1.0.0/16=600/1m", &arguments.ip_rate_limit_overrides);
    let (admission, link_lifetime) = read_admission(arguments, errors).unzip();
    let queue_limit = errors.in_range("QUEUE_LIMIT", "100000", &arguments.queue_limit, 1..=100_000_000);
    let confirm = confirm_page::read(arguments, errors);
    let has_confirm_page = confirm.as_ref().is_some_and(Option::is_some);
    let live_source = callback
        .zip(link_lifetime)
        .map(|(callback, link_lifetime)| LiveSource::new(arguments, callback, link_lifetime, has_confirm_page));
    let live = live_source.as_ref().and_then(|source| source.load(errors));
    let webhooks = read_webhooks(arguments, errors);
    Some(ApiSettings {
        database_url: database_url?,
        database_max_connections: database_max_connections?,
        migrate_on_start: migrate_on_start?,
        log: log?,
        listen: listen?,
        private_listen: private_listen?,
        connections: connections?,
        live_source: live_source?.into(),
        live: live?.into(),
        client_ips: client_ips?,
        ip_rate_limit: ip_rate_limit?,
        ip_rate_limit_overrides: ip_rate_limit_overrides?,
        admission: admission?,
        link_lifetime: link_lifetime?,
        queue_limit: queue_limit?,
        confirm: confirm?,
        webhooks: webhooks?,
    })
}

fn read_database_url(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<SecretString> {
    const EXAMPLE: &str = "postgres://api:secret@db.internal/outbox";
    let url = arguments.database_url.as_ref().map(|url| url.expose_secret().trim());
    let url = errors.required("DATABASE_URL", EXAMPLE, url)?;
    errors.read("DATABASE_URL", EXAMPLE, check_url(url).map(|()| url.into()))
}

/// Reads the rules for accepting a request, and `LINK_LIFETIME`.
fn read_admission(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<(EnqueuePolicy, Duration)> {
    let per_recipient: Option<Quotas> =
        errors.parse("RECIPIENT_RATE_LIMIT", "10/15m,30/1d", &arguments.recipient_rate_limit);
    let per_recipient_and_client: Option<Quotas> =
        errors.parse("RECIPIENT_CLIENT_RATE_LIMIT", "3/15m,10/1d", &arguments.recipient_client_rate_limit);
    let duplicate_window = errors.read("DUPLICATE_WINDOW", "10s", parse_duration(&arguments.duplicate_window));
    if duplicate_window.is_some_and(|window| window > LONGEST_DUPLICATE_WINDOW) {
        errors.add("DUPLICATE_WINDOW", "10s", "must be at most 1h".to_owned());
    }
    let deadline = errors.read("JOB_DEADLINE", "15m", parse_duration(&arguments.job_deadline));
    let lifetime = errors.read("LINK_LIFETIME", "1h", parse_duration(&arguments.link_lifetime));
    if let (Some(deadline), Some(lifetime)) = (deadline, lifetime)
        && lifetime < deadline + DELIVERY_TIME
    {
        let problem =
            "is less than JOB_DEADLINE plus five minutes: a late mail could contain an expired link".to_owned();
        errors.add("LINK_LIFETIME", "1h", problem);
    }
    let policy = EnqueuePolicy {
        per_recipient: per_recipient?,
        per_recipient_and_client: per_recipient_and_client?,
        duplicate_window: duplicate_window?,
        deadline: deadline?,
    };
    Some((policy, lifetime?))
}

fn read_webhooks(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<WebhookSettings> {
    let keys = arguments.mailgun_webhook_signing_key.as_ref().map(|keys| keys.expose_secret()).unwrap_or_default();
    let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(SecretString::from);
    let max_age = errors.read("WEBHOOK_MAX_AGE", "12h", parse_duration(&arguments.webhook_max_age))?;
    if !(MIN_WEBHOOK_AGE..=LONGEST_REPORT_AGE).contains(&max_age) {
        errors.add("WEBHOOK_MAX_AGE", "12h", "must be between 5m and 1d".to_owned());
        return None;
    }
    let domain = arguments.mailgun_domain.trim();
    let domain = (!domain.is_empty()).then(|| domain.to_owned());
    Some(WebhookSettings { signing_keys: keys.collect(), max_age, domain })
}
