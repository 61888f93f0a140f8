//! The command line of `magic-link-api`, which is also its `--help`: every setting with its variable, default and an
//! example. The values stay text here, so that [`ApiSettings`](super::ApiSettings) can report all bad ones at once.

use std::convert::Infallible;

use clap::{Parser, Subcommand};
use secrecy::SecretString;

use super::defaults;

/// Takes requests for sign-in links and puts them into the outbox, from which magic-link-worker mails them.
///
/// Settings come from the environment, and from the file .env in the current directory if there is one. In .env, values
/// with blanks need quotes, and a $ stands for itself.
#[derive(Debug, Parser)]
#[command(name = "magic-link-api", version)]
pub struct ApiArguments {
    /// Postgres, required. Example: postgres://api:secret@db.internal/outbox
    #[arg(long, env, hide_env_values = true, value_name = "URL", value_parser = secret)]
    pub(super) database_url: Option<SecretString>,
    /// Most connections to Postgres, 1 to 1000, and 3 more for commits. Example: 10
    #[arg(long, env, default_value = "10", value_name = "NUMBER")]
    pub(super) database_max_connections: String,
    /// Whether to bring the tables up to date at the start. Example: false
    #[arg(long, env, default_value = "true", value_name = "BOOL")]
    pub(super) migrate_on_start: String,
    /// How long a link works: MAILER_OTP_EXP of Supabase Auth. At least JOB_DEADLINE and five minutes. Example: 1h
    #[arg(long, env, default_value = defaults::LINK_LIFETIME, value_name = "TIME")]
    pub(super) link_lifetime: String,
    /// How the log is written: text or json. Example: json
    #[arg(long, env, default_value = "text", value_name = "FORMAT")]
    pub(super) log_format: String,
    /// What is logged: off, error, warn, info, debug or trace, also for a part alone. Example: info,api=debug
    #[arg(long, env, default_value = "info", value_name = "FILTER")]
    pub(super) rust_log: String,
    /// Address of the public listener; port 0 takes any. Example: 0.0.0.0:8080
    #[arg(long, env, default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub(super) api_listen: String,
    /// Address of the private listener (metrics and health). Example: 10.0.0.5:8082
    #[arg(long, env, default_value = "127.0.0.1:8082", value_name = "ADDRESS")]
    pub(super) api_private_listen: String,
    /// How long a connection may be idle between requests, 1s to 1h; longer than the load balancer keeps one, or it sends
    /// requests on a connection that closes. Example: 620s
    #[arg(long, env, default_value = "620s", value_name = "TIME")]
    pub(super) api_keep_alive: String,
    /// Most open connections per listener, 10 to 100000. From four fifths of them on, those that are idle longest are
    /// closed for new ones. Example: 10000
    #[arg(long, env, default_value = "10000", value_name = "NUMBER")]
    pub(super) api_max_connections: String,
    /// Seconds after SIGTERM for which requests are still taken while /health/ready answers 503, 0 to 3600: as long as the
    /// load balancer needs to notice. Example: 5
    #[arg(long, env, default_value = "5", value_name = "SECONDS")]
    pub(super) drain_seconds: String,
    /// Portals that links may lead back to, required: origins, with commas; the first label may be `*`;
    /// `http://localhost:*` for development. Hosts may be in Unicode, and mails show them as they stand here. Example: `https://example.com,https://*.preview.example.com`
    #[arg(long, env, value_name = "ORIGINS")]
    pub(super) callback_origins: Option<String>,
    /// The portals' callback page. Example: /auth/callback
    #[arg(long, env, default_value = "/auth/callback", value_name = "PATH")]
    pub(super) callback_path: String,
    /// Parts of the portal that `callback_next` may name, with commas; default: all. Example: /app,/docs
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "PATHS")]
    pub(super) callback_next_prefixes: String,
    /// Networks of the proxies (and portal back ends) whose forwarding headers are trusted, with commas; default: none.
    /// Unless one of the next two is set, the caller is the last address in X-Forwarded-For outside these networks.
    /// Example: 10.0.0.0/8,fd00::/8
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NETWORKS")]
    pub(super) trusted_proxies: String,
    /// Header in which the platform in front names the caller on every request: Fly-Client-IP (Fly), CF-Connecting-IP
    /// (Cloudflare), True-Client-IP (Akamai). Unless it is one line with one address, the proxy's own address counts. Needs
    /// TRUSTED_PROXIES. Example: Fly-Client-IP
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "HEADER")]
    pub(super) client_ip_header: String,
    /// Number of proxies that every request comes through, 1 to 16, for platforms that add their own address to
    /// X-Forwarded-For: the caller is the entry at this position from the right. Needs TRUSTED_PROXIES. Example: 2
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NUMBER")]
    pub(super) trusted_proxy_hops: String,
    /// Requests per IPv4 address or IPv6 /64. Example: 30/1m
    #[arg(long, env, default_value = defaults::IP_RATE_LIMIT, value_name = "QUOTA")]
    pub(super) ip_rate_limit: String,
    /// Networks with another quota, such as a portal's back end, with commas; default: none.
    /// Example: 10.1.0.0/16=600/1m
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "NETWORK=QUOTA")]
    pub(super) ip_rate_limit_overrides: String,
    /// Requests per recipient, whoever asks; all must hold. Example: 10/15m,30/1d
    #[arg(long, env, default_value = defaults::RECIPIENT_RATE_LIMIT, value_name = "QUOTAS")]
    pub(super) recipient_rate_limit: String,
    /// Requests per recipient from one network; all must hold. Example: 3/15m,10/1d
    #[arg(long, env, default_value = defaults::RECIPIENT_CLIENT_RATE_LIMIT, value_name = "QUOTAS")]
    pub(super) recipient_client_rate_limit: String,
    /// Within this time the same request again is a double click. Example: 10s
    #[arg(long, env, default_value = defaults::DUPLICATE_WINDOW, value_name = "TIME")]
    pub(super) duplicate_window: String,
    /// A mail that is not sent by then is not sent at all. Example: 15m
    #[arg(long, env, default_value = defaults::JOB_DEADLINE, value_name = "TIME")]
    pub(super) job_deadline: String,
    /// With more jobs than this waiting, no more are accepted. Example: 100000
    #[arg(long, env, default_value = "100000", value_name = "NUMBER")]
    pub(super) queue_limit: String,
    /// Keys of Mailgun's webhooks, with commas while they change; without one, no webhooks are taken.
    /// Example: key-3ax6xnjp29jd6fds4gc373sgvjxteol0
    #[arg(long, env, hide_env_values = true, value_name = "KEYS", value_parser = secret)]
    pub(super) mailgun_webhook_signing_key: Option<SecretString>,
    /// A webhook signed longer ago is refused, 5m to 1d; Mailgun tries for 8 hours. Example: 12h
    #[arg(long, env, default_value = "12h", value_name = "TIME")]
    pub(super) webhook_max_age: String,
    /// The domain that mail is sent from: events of others are refused; default: none are. Example: mg.example.com
    #[arg(long, env, default_value = "", hide_default_value = true, value_name = "DOMAIN")]
    pub(super) mailgun_domain: String,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<ApiCommand>,
}

/// What the program can do instead of serving.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ApiCommand {
    /// Print the OpenAPI document. Needs no settings.
    Openapi,
}

fn secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}
