//! The command line of `magic-link-api`: every setting with its variable, its default and an example. `--help` and the
//! api's part of docs/settings.md show the doc comments below. The values are not parsed here, so that
//! [`ApiSettings`](super::ApiSettings) can report all invalid values together.
#![allow(rustdoc::bare_urls, reason = "--help shows the same text")]

use std::convert::Infallible;

use callers::CallerSettings;
use clap::{ArgMatches, CommandFactory as _, Parser, Subcommand};
use program::changed_settings;
use secrecy::SecretString;

use super::defaults;

/// Accepts requests for sign-in links and adds them to the outbox. magic-link-worker mails the links.
///
/// Settings come from the environment, and from the file .env in the current directory if there is one. In .env, values
/// with spaces need quotes, and a $ has no special meaning. Settings that are not marked as required and have no
/// default are optional.
#[derive(Debug, Parser)]
#[command(
    name = "magic-link-api",
    version,
    max_term_width = 110,
    after_help = "`magic-link-worker example-env` prints a .env for both programs, with every setting."
)]
pub struct ApiArguments {
    /// Required. URL of the Postgres database, which both programs must share. Special characters in the password must
    /// be percent-encoded. Example: postgres://magic_link:secret@db.internal/magic_link
    #[arg(long, env, hide_env_values = true, value_name = "URL", help_heading = "Postgres", value_parser = secret)]
    pub(super) database_url: Option<SecretString>,
    /// Maximum number of connections to Postgres, 1 to 1000 (for the worker: 2 to 1000). Each program opens up to 3
    /// more for its commits. Example: 20
    #[arg(long, env, default_value = "10", value_name = "NUMBER", help_heading = "Postgres")]
    pub(super) database_max_connections: String,
    /// Whether the program brings the tables up to date at startup: true or false. If false, run `magic-link-worker
    /// migrate` first. Example: false
    #[arg(long, env, default_value = "true", value_name = "BOOL", help_heading = "Postgres")]
    pub(super) migrate_on_start: String,
    /// Format of the log lines on stdout: text or json. Text has colours on a terminal, unless NO_COLOR is set.
    /// Example: json
    #[arg(long, env, default_value = "text", value_name = "FORMAT", help_heading = "Log")]
    pub(super) log_format: String,
    /// Lowest severity to log: off, error, warn, info, debug or trace. Individual modules can have their own level.
    /// Example: info,outbox=debug
    #[arg(long, env, default_value = "info", value_name = "FILTER", help_heading = "Log")]
    pub(super) rust_log: String,
    /// How long a link works, as set by Supabase Auth's MAILER_OTP_EXP. It must be at least five minutes longer than
    /// JOB_DEADLINE. Example: 1h
    #[arg(long, env, default_value = defaults::LINK_LIFETIME, value_name = "TIME", help_heading = "Links")]
    pub(super) link_lifetime: String,
    /// Address of the public listener. Port 0 picks any free port. Example: 0.0.0.0:8080
    #[arg(long, env, default_value = "127.0.0.1:8080", value_name = "ADDRESS", help_heading = "Connections")]
    pub(super) api_listen: String,
    /// Address of the private listener, for metrics and detailed health checks. Do not make it public. Example:
    /// 10.0.0.5:8082
    #[arg(long, env, default_value = "127.0.0.1:8082", value_name = "ADDRESS", help_heading = "Connections")]
    pub(super) api_private_listen: String,
    /// How long a connection may be idle between two requests, 1s to 1h. It must be longer than the load balancer's
    /// idle timeout, or callers sometimes get a 502. Example: 620s
    #[arg(long, env, default_value = "620s", value_name = "TIME", help_heading = "Connections")]
    pub(super) api_keep_alive: String,
    /// Maximum number of open connections per listener, 10 to 100000. Further connections wait. Each connection uses a
    /// file descriptor. Above four fifths of the maximum, the connections that have been idle longest are closed to
    /// make room for new ones. Example: 10000
    #[arg(long, env, default_value = "10000", value_name = "NUMBER", help_heading = "Connections")]
    pub(super) api_max_connections: String,
    /// How many seconds requests are still accepted after SIGTERM, 0 to 3600. During this time, /health/ready answers
    /// 503. The time must be long enough for the load balancer to notice. Example: 5
    #[arg(long, env, default_value = "5", value_name = "SECONDS", help_heading = "Connections")]
    pub(super) drain_seconds: String,
    /// Required. The portal's origins, to which links may lead back, separated by commas. The first label may be a
    /// wildcard: `https://*.preview.example.com`. `http://localhost:*` allows any port of localhost, for development. A
    /// host may contain Unicode characters, and mails show it as written here. If PORTALS_FILE is set, leave this
    /// setting out. Example: https://portal.example.com
    #[arg(long, env, value_name = "ORIGINS", help_heading = "Portals")]
    pub(super) callback_origins: Option<String>,
    /// TOML file that describes several portals, each with its own origins, sender, languages and look. Both programs
    /// need the same file, and read it again on SIGHUP. It replaces CALLBACK_ORIGINS. If the file omits one of a
    /// portal's settings, the setting from the environment applies. Example: /etc/magic-link/portals.toml
    #[arg(long, env, value_name = "FILE", help_heading = "Portals")]
    pub(super) portals_file: Option<String>,
    /// Path of the portals' callback page. Example: /auth/callback
    #[arg(long, env, default_value = "/auth/callback", value_name = "PATH", help_heading = "Portals")]
    pub(super) callback_path: String,
    /// Allowed path prefixes for callback_next, separated by commas. If none is set, callback_next may be any page of
    /// the portal. Example: /app,/docs
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "PATHS", help_heading = "Portals")]
    pub(super) callback_next_prefixes: String,
    /// Networks of the proxies and portal back ends whose forwarding headers are trusted, separated by commas. The
    /// caller is the last address in X-Forwarded-For that is outside these networks, unless CLIENT_IP_HEADER or
    /// TRUSTED_PROXY_HOPS is set. If no network is listed, no header is trusted. Example: 10.0.0.0/8,2001:db8::/32
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NETWORKS", help_heading = "Callers")]
    pub(super) trusted_proxies: String,
    /// Header in which the hosting platform passes the caller's address: Fly-Client-IP (Fly), CF-Connecting-IP
    /// (Cloudflare) or True-Client-IP (Akamai). If it is missing, repeated or not a single address, the proxy's own
    /// address is used. Needs TRUSTED_PROXIES. Example: Fly-Client-IP
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "HEADER", help_heading = "Callers")]
    pub(super) client_ip_header: String,
    /// Position of the caller in X-Forwarded-For, counted from the right, 1 to 16. This is for platforms that append
    /// their own address after the caller's. Needs TRUSTED_PROXIES, and cannot be combined with CLIENT_IP_HEADER.
    /// Example: 2
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NUMBER", help_heading = "Callers")]
    pub(super) trusted_proxy_hops: String,
    /// Maximum number of requests from one IPv4 address or one IPv6 /64. Each api instance counts separately. Example:
    /// 30/1m
    #[arg(long, env, default_value = defaults::IP_RATE_LIMIT, value_name = "QUOTA", help_heading = "Limits")]
    pub(super) ip_rate_limit: String,
    /// Networks with a different limit, such as a portal's back end, separated by commas. Example:
    /// 10.1.0.0/16=600/1m
    #[arg(
        long,
        env,
        default_value = "",
        hide_default_value = true,
        value_name = "NETWORK=QUOTA",
        help_heading = "Limits"
    )]
    pub(super) ip_rate_limit_overrides: String,
    /// Maximum number of mails to one person, from all networks together. All of the limits apply, and all api
    /// instances share them. Example: 10/15m,30/1d
    #[arg(long, env, default_value = defaults::RECIPIENT_RATE_LIMIT, value_name = "QUOTAS", help_heading = "Limits")]
    pub(super) recipient_rate_limit: String,
    /// Maximum number of mails to one person that one network can request. All of the limits apply, and all api
    /// instances share them. Example: 3/15m,10/1d
    #[arg(long, env, default_value = defaults::RECIPIENT_CLIENT_RATE_LIMIT, value_name = "QUOTAS", help_heading = "Limits")]
    pub(super) recipient_client_rate_limit: String,
    /// Time within which a repeat of the same request counts as a double click and sends no second mail, at most 1h.
    /// Example: 10s
    #[arg(long, env, default_value = defaults::DUPLICATE_WINDOW, value_name = "TIME", help_heading = "Limits")]
    pub(super) duplicate_window: String,
    /// Time after which a job expires if its mail has not been sent. Example: 15m
    #[arg(long, env, default_value = defaults::JOB_DEADLINE, value_name = "TIME", help_heading = "Limits")]
    pub(super) job_deadline: String,
    /// Maximum number of waiting jobs. Above this number, the api answers 503. It also answers 503 if the workers could
    /// not mail all waiting jobs before they expire. Example: 100000
    #[arg(long, env, default_value = "100000", value_name = "NUMBER", help_heading = "Limits")]
    pub(super) queue_limit: String,
    /// Languages of the mails, separated by commas: ar, de, en, es, fr. People who read none of the listed languages
    /// get the first one. A request specifies its language in `locale` or in the Accept-Language header. Example: en,de
    #[arg(long, env, default_value = "en", value_name = "TAGS", help_heading = "Mail")]
    pub(super) languages: String,
    /// Folder with your own words and mail templates: `de/words.ftl` replaces messages of the German mail,
    /// `it/words.ftl` adds Italian, and `sign_in.html` replaces the HTML of all mails. Both programs need the same
    /// folder, and read it again on SIGHUP. Example: /etc/magic-link/templates
    #[arg(long, env, value_name = "FOLDER", help_heading = "Mail")]
    pub(super) mail_templates: Option<String>,
    /// Address at which browsers reach the api. It must have no query, and must use https unless it is a loopback
    /// address. With LINK_STYLE=confirm, links lead to this address. Example: https://login.example.com
    #[arg(long, env, value_name = "URL", help_heading = "Links")]
    pub(super) public_url: Option<String>,
    /// Key that encrypts links if LINK_STYLE is confirm: 32 bytes in base64, the same for both programs. Several keys
    /// are separated by commas: the first one encrypts, and all of them decrypt. Example: the output of `openssl rand
    /// -base64 32`
    #[arg(long, env, hide_env_values = true, value_name = "KEYS", help_heading = "Links", value_parser = secret)]
    pub(super) confirm_key: Option<SecretString>,
    /// Maximum number of requests for the confirm page per network. It must leave room for mail scanners, which open
    /// the page several times. Example: 300/1m
    #[arg(long, env, default_value = "300/1m", value_name = "QUOTA", help_heading = "Limits")]
    pub(super) confirm_rate_limit: String,
    /// Key with which Mailgun signs its webhooks. Set two keys, separated by a comma, while you replace one. Without a
    /// key, no webhook is accepted. Example: key-3ax6xnjp29jd6fds4gc373sgvjxteol0
    #[arg(long, env, hide_env_values = true, value_name = "KEYS", help_heading = "Mailgun", value_parser = secret)]
    pub(super) mailgun_webhook_signing_key: Option<SecretString>,
    /// Maximum age of a webhook's signature, 5m to 1d. Mailgun retries a webhook for up to 8 hours. Example: 12h
    #[arg(long, env, default_value = "12h", value_name = "TIME", help_heading = "Mailgun")]
    pub(super) webhook_max_age: String,
    /// Domain that mail is sent from. Webhook events for other domains are refused. If no domain is set, the events of
    /// all domains are accepted. Example: mg.example.com
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "DOMAIN", help_heading = "Mailgun")]
    pub(super) mailgun_domain: String,
    /// The command to run instead of serving requests.
    #[command(subcommand)]
    pub command: Option<ApiCommand>,
}

/// Commands to run instead of serving requests.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ApiCommand {
    /// Print the OpenAPI document. Needs no settings.
    Openapi,
}

/// The settings that the log may show: all except the keys and the database URL, which contains a password.
const PUBLIC: [&str; 30] = [
    "DATABASE_MAX_CONNECTIONS",
    "MIGRATE_ON_START",
    "LOG_FORMAT",
    "RUST_LOG",
    "LINK_LIFETIME",
    "API_LISTEN",
    "API_PRIVATE_LISTEN",
    "API_KEEP_ALIVE",
    "API_MAX_CONNECTIONS",
    "DRAIN_SECONDS",
    "CALLBACK_ORIGINS",
    "PORTALS_FILE",
    "CALLBACK_PATH",
    "CALLBACK_NEXT_PREFIXES",
    "TRUSTED_PROXIES",
    "CLIENT_IP_HEADER",
    "TRUSTED_PROXY_HOPS",
    "IP_RATE_LIMIT",
    "IP_RATE_LIMIT_OVERRIDES",
    "RECIPIENT_RATE_LIMIT",
    "RECIPIENT_CLIENT_RATE_LIMIT",
    "DUPLICATE_WINDOW",
    "JOB_DEADLINE",
    "QUEUE_LIMIT",
    "LANGUAGES",
    "MAIL_TEMPLATES",
    "WEBHOOK_MAX_AGE",
    "MAILGUN_DOMAIN",
    "PUBLIC_URL",
    "CONFIRM_RATE_LIMIT",
];

impl ApiArguments {
    /// The settings for finding a caller's address.
    pub(super) fn callers(&self) -> CallerSettings<'_> {
        CallerSettings {
            trusted_proxies: &self.trusted_proxies,
            client_ip_header: &self.client_ip_header,
            trusted_proxy_hops: &self.trusted_proxy_hops,
        }
    }

    /// Lists the settings that differ from their defaults, for the first line of the log. Leaves out settings that
    /// contain secrets or people's addresses.
    #[must_use]
    pub fn changed(matches: &ArgMatches) -> String {
        changed_settings(&Self::command(), matches, &PUBLIC)
    }
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}
