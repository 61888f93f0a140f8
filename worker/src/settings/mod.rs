//! What an operator sets, read once at the start. All faults are told at once; nothing here shows a secret.

mod arguments;
mod logs;
mod values;

use std::{net::SocketAddr, str::FromStr, time::Duration};

use outbox::{
    Quota, parse_duration,
    settings::{Fault, Faults},
};
use secrecy::SecretString;
use url::Url;

pub use arguments::{Arguments, Command};
pub use logs::{LogFormat, LogSettings};
pub(crate) use values::is_loopback;
use values::{in_range, mail_from, mailgun_domain, origin, upstream_url};

use crate::mail::link_seal::SealingKeys;

/// Everything that the worker needs to work.
pub struct Settings {
    /// The jobs' table.
    pub database: DatabaseSettings,
    /// The maker of links.
    pub supabase: SupabaseSettings,
    /// The mailer.
    pub mailgun: MailgunSettings,
    /// Where health and metrics are served.
    pub listen: SocketAddr,
    /// What links are sealed with.
    pub sealing_keys: SealingKeys,
    /// How much, how long, how often.
    pub limits: Limits,
}

/// The way to Postgres.
pub struct DatabaseSettings {
    /// `postgres://…`
    pub url: SecretString,
    /// Size of the pool: at least 2, since one listens.
    pub max_connections: u32,
    /// Whether the start brings the tables up to date.
    pub migrate_on_start: bool,
}

/// The way to Supabase Auth.
pub struct SupabaseSettings {
    /// The project's URL, without `/auth/v1`.
    pub url: Url,
    /// The service role's JWT, or an `sb_secret_…` key.
    pub key: SecretString,
    /// Origins that links may point to, serialised as browsers do.
    pub link_origins: Vec<String>,
    /// Calls at a time.
    pub concurrency: usize,
    /// Whether strangers get an account.
    pub signups: Signups,
}

/// What an unknown address gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signups {
    /// An account and a link: what `generate_link` does with type `magiclink`.
    Allow,
    /// Nothing.
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

/// The way to Mailgun.
pub struct MailgunSettings {
    /// The region's API.
    pub url: Url,
    /// The sending domain.
    pub domain: String,
    /// A sending key of the domain is enough.
    pub key: SecretString,
    /// `Name <address>` or an address.
    pub from: String,
    /// Mails that this worker hands over at most.
    pub rate: Quota,
    /// A key that may read events, and read and delete suppressions.
    pub events_key: Option<SecretString>,
    /// Which of the two lists of events is read.
    pub events_api: EventsApi,
}

/// What Mailgun is asked through about a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsApi {
    /// `GET /v3/{domain}/events`: deprecated, and its filter by Message-Id documented.
    Events,
    /// `POST /v1/analytics/logs`, its successor.
    Logs,
}

impl FromStr for EventsApi {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "events" => Ok(Self::Events),
            "logs" => Ok(Self::Logs),
            _ => Err(format!("`{text}` is neither events nor logs")),
        }
    }
}

/// Times and counts.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long a link works: Supabase's MAILER_OTP_EXP.
    pub link_lifetime: Duration,
    /// Deliveries at a time.
    pub concurrency: usize,
    /// How long a job is held unless renewed.
    pub lease: Duration,
    /// Attempts after which a job fails.
    pub max_attempts: i16,
    /// For one call to an upstream, all in all.
    pub upstream_timeout: Duration,
    /// What running deliveries get at a stop.
    pub shutdown: Duration,
    /// Days that history is kept.
    pub retention_days: u64,
}

/// Less than this is left of a link: it is not worth mailing, and Mailgun's shortest `o:deliver-within`.
pub const SHORTEST_USE: Duration = Duration::from_secs(5 * 60);

impl Settings {
    /// Reads all settings.
    ///
    /// # Errors
    /// Every fault that was met.
    pub fn read(arguments: &Arguments) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let settings = Self::read_all(arguments, &mut faults);
        match settings {
            Some(settings) if faults.is_empty() => Ok(settings),
            _ => Err(faults.into_vec()),
        }
    }

    fn read_all(arguments: &Arguments, faults: &mut Faults) -> Option<Self> {
        let database = DatabaseSettings::read_into(arguments, faults);
        let listen = faults.parse("WORKER_LISTEN", "127.0.0.1:8081", &arguments.worker_listen);
        let supabase = SupabaseSettings::read(arguments, faults);
        let mailgun = MailgunSettings::read(arguments, faults);
        let sealing_keys = faults
            .required("LINK_SEALING_KEY", KEY_EXAMPLE, arguments.link_sealing_key.as_ref())
            .and_then(|text| faults.parse("LINK_SEALING_KEY", KEY_EXAMPLE, text));
        let limits = Limits::read(arguments, faults);
        Some(Self {
            database: database?,
            supabase: supabase?,
            mailgun: mailgun?,
            listen: listen?,
            sealing_keys: sealing_keys?,
            limits: limits?,
        })
    }
}

const KEY_EXAMPLE: &str = "the output of `openssl rand -base64 32`";

impl DatabaseSettings {
    /// Reads these alone, for a command that needs no more.
    ///
    /// # Errors
    /// Every fault that was met.
    pub fn read(arguments: &Arguments) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        Self::read_into(arguments, &mut faults).ok_or_else(|| faults.into_vec())
    }

    fn read_into(arguments: &Arguments, faults: &mut Faults) -> Option<Self> {
        const EXAMPLE: &str = "postgres://magic_link:secret@db.internal/magic_link";
        let url = faults.required("DATABASE_URL", EXAMPLE, arguments.database_url.as_ref()).and_then(|url| {
            faults.read("DATABASE_URL", EXAMPLE, outbox::check_url(url.trim()).map(|()| url.trim().into()))
        });
        let max_connections = in_range(
            faults,
            "DATABASE_MAX_CONNECTIONS",
            "10",
            &arguments.database_max_connections,
            // One connection listens.
            2..=1_000,
        );
        let migrate_on_start = faults.parse("MIGRATE_ON_START", "true", &arguments.migrate_on_start);
        Some(Self { url: url?, max_connections: max_connections?, migrate_on_start: migrate_on_start? })
    }
}

impl SupabaseSettings {
    fn read(arguments: &Arguments, faults: &mut Faults) -> Option<Self> {
        const URL: &str = "https://abcdefghijklmnopqrst.supabase.co";
        let url = faults
            .required("SUPABASE_URL", URL, arguments.supabase_url.as_ref())
            .and_then(|text| faults.read("SUPABASE_URL", URL, upstream_url(text)));
        let key = faults
            .required("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_…", arguments.supabase_service_role_key.as_ref())
            .and_then(|key| faults.read("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_…", values::header_secret(key)));
        let link_origins = match arguments.link_origins.as_deref().map(str::trim) {
            None | Some("") => url.as_ref().map(|url| vec![url.origin().ascii_serialization()]),
            Some(list) => faults.read("LINK_ORIGINS", URL, list.split(',').map(origin).collect::<Result<Vec<_>, _>>()),
        };
        let concurrency = in_range(faults, "SUPABASE_CONCURRENCY", "16", &arguments.supabase_concurrency, 1..=1_000);
        let signups = faults.parse("SIGNUPS", "deny", &arguments.signups);
        let (link_origins, concurrency, signups) = (link_origins?, concurrency?, signups?);
        Some(Self { url: url?, key: key?, link_origins, concurrency, signups })
    }
}

impl MailgunSettings {
    fn read(arguments: &Arguments, faults: &mut Faults) -> Option<Self> {
        const FROM: &str = "Example Portal <sign-in@mg.example.com>";
        let url =
            faults.read("MAILGUN_BASE_URL", "https://api.eu.mailgun.net", upstream_url(&arguments.mailgun_base_url));
        let domain = faults
            .required("MAILGUN_DOMAIN", "mg.example.com", arguments.mailgun_domain.as_ref())
            .and_then(|text| faults.read("MAILGUN_DOMAIN", "mg.example.com", mailgun_domain(text)));
        let key = faults
            .required("MAILGUN_API_KEY", "a sending key of the domain", arguments.mailgun_api_key.as_ref())
            .and_then(|key| faults.read("MAILGUN_API_KEY", "a sending key of the domain", values::header_secret(key)));
        let from = faults
            .required("MAIL_FROM", FROM, arguments.mail_from.as_ref())
            .and_then(|text| faults.read("MAIL_FROM", FROM, mail_from(text)));
        let rate = faults.parse("MAILGUN_RATE", "20/1s", &arguments.mailgun_rate);
        let events_key = match arguments.mailgun_events_key.as_ref().filter(|key| !key.trim().is_empty()) {
            None => Some(None),
            Some(key) => faults
                .read("MAILGUN_EVENTS_KEY", "a key that may read the domain's events", values::header_secret(key))
                .map(Some),
        };
        let events_api = faults.parse("MAILGUN_EVENTS_API", "logs", &arguments.mailgun_events_api);
        let (events_key, events_api) = (events_key?, events_api?);
        Some(Self { url: url?, domain: domain?, key: key?, from: from?, rate: rate?, events_key, events_api })
    }
}

impl Limits {
    fn read(arguments: &Arguments, faults: &mut Faults) -> Option<Self> {
        let link_lifetime = parse_duration(&arguments.link_lifetime).and_then(|lifetime| {
            (lifetime > SHORTEST_USE).then_some(lifetime).ok_or_else(|| "must be more than 5m".to_owned())
        });
        let link_lifetime = faults.read("LINK_LIFETIME", "1h", link_lifetime);
        let concurrency = in_range(faults, "WORKER_CONCURRENCY", "64", &arguments.worker_concurrency, 1..=10_000);
        let lease = in_range(faults, "LEASE_SECONDS", "30", &arguments.lease_seconds, 5..=3_600);
        let max_attempts = in_range(faults, "MAX_ATTEMPTS", "20", &arguments.max_attempts, 1..=1_000);
        let upstream_timeout = faults.read("UPSTREAM_TIMEOUT", "12s", parse_duration(&arguments.upstream_timeout));
        let shutdown = in_range(faults, "SHUTDOWN_SECONDS", "25", &arguments.shutdown_seconds, 0..=3_600);
        let retention_days = in_range(faults, "RETENTION_DAYS", "30", &arguments.retention_days, 1..=3_650);
        Some(Self {
            link_lifetime: link_lifetime?,
            concurrency: concurrency?,
            lease: Duration::from_secs(lease?),
            max_attempts: max_attempts?,
            upstream_timeout: upstream_timeout?,
            shutdown: Duration::from_secs(shutdown?),
            retention_days: retention_days?,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    const GOOD: [&str; 15] = [
        "magic-link-worker",
        "--database-url=postgres://u:p@localhost/db",
        "--supabase-url=https://abc.supabase.co/",
        "--supabase-service-role-key=service",
        "--mailgun-domain=mg.example.com",
        "--mailgun-api-key=key",
        "--mail-from=Portal <no-reply@mg.example.com>",
        "--link-sealing-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "--worker-listen=127.0.0.1:0",
        "--mailgun-rate=20/1s",
        "--lease-seconds=30",
        "--max-attempts=20",
        "--link-lifetime=1h",
        "--mailgun-base-url=https://api.mailgun.net",
        "--migrate-on-start=true",
    ];

    fn read(changes: &[&'static str]) -> Result<Settings, Vec<&'static str>> {
        let name = |argument: &str| argument.split('=').next().map(str::to_owned);
        let kept = GOOD.into_iter().filter(|good| !changes.iter().any(|change| name(change) == name(good)));
        // The environment of whoever runs the tests must not matter: every setting read here is an argument.
        let arguments = Arguments::parse_from(kept.chain(changes.iter().copied()));
        Settings::read(&arguments).map_err(|faults| faults.into_iter().map(|fault| fault.variable).collect())
    }

    #[test]
    fn links_may_by_default_lead_to_supabase_only() {
        let settings = read(&[]).ok().unwrap();
        assert_eq!(settings.supabase.link_origins, ["https://abc.supabase.co"]);
        assert_eq!(settings.limits.lease, Duration::from_secs(30));
    }

    #[test]
    fn every_fault_is_told_and_names_its_variable() {
        let faults = read(&[
            "--database-url=mysql://x",
            "--supabase-url=http://example.com",
            "--mailgun-domain=mg.example.com/v3",
            "--mail-from=Portal",
            "--link-sealing-key=short",
            "--worker-listen=here",
            "--lease-seconds=4",
            "--link-lifetime=5m",
            "--mailgun-rate=0/1s",
        ]);
        assert_eq!(
            faults.err().unwrap(),
            [
                "DATABASE_URL",
                "WORKER_LISTEN",
                "SUPABASE_URL",
                "MAILGUN_DOMAIN",
                "MAIL_FROM",
                "MAILGUN_RATE",
                "LINK_SEALING_KEY",
                "LINK_LIFETIME",
                "LEASE_SECONDS",
            ]
        );
    }
}
