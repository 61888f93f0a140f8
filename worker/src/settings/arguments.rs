//! The command line of `magic-link-worker`, which is also its `--help`: every setting with its variable, default and an
//! example. The values stay text here, so that [`WorkerSettings`](super::WorkerSettings) can report all bad ones at once.
#![allow(rustdoc::bare_urls, reason = "--help shows the same text")]

use clap::{Parser, Subcommand};

/// Mails sign-in links: takes jobs from the outbox, asks Supabase Auth for the link, hands the mail to Mailgun.
///
/// Every setting is an environment variable (a `.env` file in the current directory is read when present: values with
/// blanks need quotes there, and a $ stands for itself); the flags are there for trying things out.
// No Debug, since it holds secrets.
#[derive(Parser)]
#[command(name = "magic-link-worker", version, max_term_width = 110)]
pub struct WorkerArguments {
    /// What to do instead of delivering mail.
    #[command(subcommand)]
    pub command: Option<WorkerCommand>,

    /// Postgres, as the api uses it. Example: postgres://magic_link:secret@db.internal/magic_link
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    pub database_url: Option<String>,

    /// Connections to Postgres, 2 to 1000, and 3 more for commits. Example: 10
    #[arg(long, env = "DATABASE_MAX_CONNECTIONS", default_value = "10", global = true)]
    pub database_max_connections: String,

    /// Whether to bring the tables up to date at the start; `magic-link-worker migrate` does it alone. Example: false
    #[arg(long, env = "MIGRATE_ON_START", default_value = "true", global = true)]
    pub migrate_on_start: String,

    /// How long Supabase lets a link work: its MAILER_OTP_EXP. Example: 1h
    #[arg(long, env = "LINK_LIFETIME", default_value = "1h")]
    pub link_lifetime: String,

    /// How logs are written to stdout: text or json. Example: json
    #[arg(long, env = "LOG_FORMAT", default_value = "text", global = true)]
    pub log_format: String,

    /// Which log lines are written: off, error, warn, info, debug or trace, also for a part alone. Example:
    /// info,worker=debug
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true)]
    pub rust_log: String,

    /// Where /health/live, /health/ready and /metrics are served; keep it private. Example: 0.0.0.0:8081
    #[arg(long, env = "WORKER_LISTEN", default_value = "127.0.0.1:8081")]
    pub worker_listen: String,

    /// The Supabase project, without /auth/v1. Example: https://abcdefghijklmnopqrst.supabase.co
    #[arg(long, env = "SUPABASE_URL")]
    pub supabase_url: Option<String>,

    /// A PEM file of certificate authorities that are trusted for SUPABASE_URL, and for it alone, beside the public ones.
    /// Example: /etc/ssl/company-ca.pem
    #[arg(long, env = "SUPABASE_CA_FILE")]
    pub supabase_ca_file: Option<String>,

    /// Its secret key (sb_secret_…), or the JWT of its service_role; not its publishable or anon key. Example:
    /// sb_secret_…
    #[arg(long, env = "SUPABASE_SERVICE_ROLE_KEY", hide_env_values = true)]
    pub supabase_service_role_key: Option<String>,

    /// Origins that links may lead to, comma-separated; SUPABASE_URL's unless set. Example: https://auth.example.com
    #[arg(long, env = "LINK_ORIGINS")]
    pub link_origins: Option<String>,

    /// Calls to Supabase at a time, 1 to 1000. Example: 16
    #[arg(long, env = "SUPABASE_CONCURRENCY", default_value = "16")]
    pub supabase_concurrency: String,

    /// Whether an unknown address gets an account: `allow` (Supabase creates one for whoever asks, whatever its own
    /// sign-up setting says) or `deny` (nothing is created or mailed). Example: deny
    #[arg(long, env = "SIGNUPS", default_value = "allow")]
    pub signups: String,

    /// Mailgun's API in the region of the domain. Example: https://api.eu.mailgun.net
    #[arg(long, env = "MAILGUN_BASE_URL", default_value = "https://api.mailgun.net")]
    pub mailgun_base_url: String,

    /// The domain that mail is sent from. Example: mg.example.com
    #[arg(long, env = "MAILGUN_DOMAIN")]
    pub mailgun_domain: Option<String>,

    /// A sending key of that domain. Example: 0123456789abcdef0123456789abcdef-01234567-89abcdef
    #[arg(long, env = "MAILGUN_API_KEY", hide_env_values = true)]
    pub mailgun_api_key: Option<String>,

    /// Who the mail is from; in .env with quotes around it. Example: Example Portal <sign-in@mg.example.com>
    #[arg(long, env = "MAIL_FROM")]
    pub mail_from: Option<String>,

    /// Whether Mailgun delivers over TLS only; `false`: in plain text too, to servers that offer no TLS. Example: false
    #[arg(long, env = "MAILGUN_REQUIRE_TLS", default_value = "true")]
    pub mailgun_require_tls: String,

    /// Whether Mailgun takes any certificate of a recipient's server; `false`: only one that it can verify.
    /// Example: true
    #[arg(long, env = "MAILGUN_SKIP_VERIFICATION", default_value = "false")]
    pub mailgun_skip_verification: String,

    /// Mails that this worker hands over at most, after a first burst of as many. Example: 20/1s
    #[arg(long, env = "MAILGUN_RATE", default_value = "20/1s")]
    pub mailgun_rate: String,

    /// A key that may read the domain's events and suppressions: with it, Mailgun is asked about mails of which it has
    /// not told the end. Example: 0123456789abcdef0123456789abcdef-01234567-89abcdef
    #[arg(long, env = "MAILGUN_EVENTS_KEY", hide_env_values = true)]
    pub mailgun_events_key: Option<String>,

    /// What it is asked through: `events` (GET /v3/{domain}/events) or its successor `logs` (POST
    /// /v1/analytics/logs). Example: logs
    #[arg(long, env = "MAILGUN_EVENTS_API", default_value = "events")]
    pub mailgun_events_api: String,

    /// HTTP proxy for the calls to Supabase and Mailgun (https_proxy counts too). Calls to this machine never use it.
    /// Example: http://proxy.internal:3128
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true)]
    pub https_proxy: Option<String>,

    /// Hosts, domains and networks that are called without the proxy, comma-separated (no_proxy counts too).
    /// Example: supabase.internal,10.0.0.0/8
    #[arg(long, env = "NO_PROXY")]
    pub no_proxy: Option<String>,

    /// 32 bytes in base64 that links wait under; several, comma-separated: the first seals, all open. The same for
    /// all workers. Example: the output of `openssl rand -base64 32`
    #[arg(long, env = "LINK_SEALING_KEY", hide_env_values = true)]
    pub link_sealing_key: Option<String>,

    /// Deliveries at a time, 1 to 10000. Example: 64
    #[arg(long, env = "WORKER_CONCURRENCY", default_value = "64")]
    pub worker_concurrency: String,

    /// Seconds after which the jobs of a dead worker are taken over, at least 5. Example: 30
    #[arg(long, env = "LEASE_SECONDS", default_value = "30")]
    pub lease_seconds: String,

    /// Attempts after which a job fails, 1 to 1000. Example: 20
    #[arg(long, env = "MAX_ATTEMPTS", default_value = "20")]
    pub max_attempts: String,

    /// Time for one call to Supabase or Mailgun. Supabase itself gives up after 10s, so less is warned of at the start.
    /// Example: 12s
    #[arg(long, env = "UPSTREAM_TIMEOUT", default_value = "12s")]
    pub upstream_timeout: String,

    /// Seconds that running deliveries get at a stop before they are handed back. Example: 25
    #[arg(long, env = "SHUTDOWN_SECONDS", default_value = "25")]
    pub shutdown_seconds: String,

    /// Days that the history of jobs is kept. Example: 30
    #[arg(long, env = "RETENTION_DAYS", default_value = "30")]
    pub retention_days: String,
}

/// What the program can do instead of delivering mail.
#[derive(Subcommand)]
pub enum WorkerCommand {
    /// Brings the tables up to date and makes the coming days' partitions; needs DATABASE_URL only.
    Migrate,
    /// Removes a person's address, and what was said about it, from all tables, and tells how many rows held it. Counts
    /// stay. Needs DATABASE_URL only.
    Forget {
        /// The address. Example: ann@example.com
        address: String,
    },
}
