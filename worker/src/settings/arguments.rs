//! The command line of `magic-link-worker`: every setting with its variable, its default and an example. `--help` and
//! the worker's part of docs/settings.md show the doc comments below. The values remain text here, so that
//! [`WorkerSettings`](super::WorkerSettings) can report all invalid values together.
#![allow(rustdoc::bare_urls, rustdoc::invalid_html_tags, reason = "--help shows the same text")]

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory as _, Parser, Subcommand};
use program::changed_settings;

use super::{CheckArguments, JobsCommand, PauseArguments, ResumeArguments};
use crate::mail::sample::MailStyle;

/// Mails sign-in links: claims jobs from the outbox, requests each link from Supabase Auth, and sends the mail through
/// Mailgun.
///
/// Settings come from the environment, and from the file .env in the current directory if there is one. In .env, values
/// with spaces need quotes, and a $ has no special meaning. Settings that are not marked as required and have no
/// default are optional.
// Has no `Debug`, because it contains secrets.
#[derive(Parser)]
#[command(
    name = "magic-link-worker",
    version,
    max_term_width = 110,
    after_help = "`magic-link-worker example-env` prints a .env for both programs, with every setting."
)]
pub struct WorkerArguments {
    /// The command to run instead of delivering mail.
    #[command(subcommand)]
    pub command: Option<WorkerCommand>,

    /// Required. URL of the Postgres database, which both programs must share. Special characters in the password must
    /// be percent-encoded. Example: postgres://magic_link:secret@db.internal/magic_link
    #[arg(
        long,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        help_heading = "Postgres",
        global = true
    )]
    pub database_url: Option<String>,

    /// Maximum number of connections to Postgres, 1 to 1000 (for the worker: 2 to 1000). Each program opens up to 3
    /// more for its commits. Example: 20
    #[arg(
        long,
        env = "DATABASE_MAX_CONNECTIONS",
        default_value = "10",
        value_name = "NUMBER",
        help_heading = "Postgres",
        global = true
    )]
    pub database_max_connections: String,

    /// Whether the program brings the tables up to date at startup: true or false. If false, run `magic-link-worker
    /// migrate` first. Example: false
    #[arg(
        long,
        env = "MIGRATE_ON_START",
        default_value = "true",
        value_name = "BOOL",
        help_heading = "Postgres",
        global = true
    )]
    pub migrate_on_start: String,

    /// Format of the log lines on stdout: text or json. Text has colours on a terminal, unless NO_COLOR is set.
    /// Example: json
    #[arg(
        long,
        env = "LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT",
        help_heading = "Log",
        global = true
    )]
    pub log_format: String,

    /// Lowest severity to log: off, error, warn, info, debug or trace. Individual modules can have their own level.
    /// Example: info,outbox=debug
    #[arg(long, env = "RUST_LOG", default_value = "info", value_name = "FILTER", help_heading = "Log", global = true)]
    pub rust_log: String,

    /// How long a link works, as set by Supabase Auth's MAILER_OTP_EXP. It must be at least five minutes longer than
    /// JOB_DEADLINE. Example: 1h
    #[arg(long, env = "LINK_LIFETIME", default_value = "1h", value_name = "TIME", help_heading = "Links")]
    pub link_lifetime: String,

    /// What links lead to: confirm (the api's page with a button, so that mail scanners that open links do not use them
    /// up), verify (Supabase's own address), token_hash (the portal's callback, for portals that render on the server)
    /// or code (no link at all). If this is not set, the style is confirm when PUBLIC_URL and CONFIRM_KEY are set, and
    /// verify when neither is set. Example: confirm
    #[arg(long, env = "LINK_STYLE", value_name = "STYLE", help_heading = "Links")]
    pub link_style: Option<String>,

    /// Whether mails also show Supabase's one-time code, which a portal checks with verifyOtp: off, on (only codes of
    /// 10 digits) or on-rate-limited (codes of 8 or more digits; first check that Supabase answers repeated wrong codes
    /// with 429). Supabase's MAILER_OTP_LENGTH sets the length. With LINK_STYLE=code, MAIL_CODE must not be off.
    /// Example: on
    #[arg(long, env = "MAIL_CODE", default_value = "off", value_name = "WHEN", help_heading = "Links")]
    pub mail_code: String,

    /// TOML file that describes several portals, each with its own origins, sender, languages and look. Both programs
    /// need the same file, and read it again on SIGHUP. Example: /etc/magic-link/portals.toml
    #[arg(long, env = "PORTALS_FILE", value_name = "FILE", help_heading = "Portals", global = true)]
    pub portals_file: Option<String>,

    /// Folder with your own words and mail templates: `de/words.ftl` replaces messages of the German mail,
    /// `it/words.ftl` adds Italian, and `sign_in.html` replaces the HTML of all mails. Both programs need the same
    /// folder, and read it again on SIGHUP. Example: /etc/magic-link/templates
    #[arg(long, env = "MAIL_TEMPLATES", value_name = "FOLDER", help_heading = "Mail")]
    pub mail_templates: Option<String>,

    /// Address at which browsers reach the api. It must have no query, and must use https unless it is a loopback
    /// address. With LINK_STYLE=confirm, links lead to this address. Example: https://login.example.com
    #[arg(long, env = "PUBLIC_URL", value_name = "URL", help_heading = "Links")]
    pub public_url: Option<String>,

    /// Key that encrypts links if LINK_STYLE is confirm: 32 bytes in base64, the same for both programs. Several keys
    /// are separated by commas: the first one encrypts, and all of them decrypt. Example: the output of `openssl rand
    /// -base64 32`
    #[arg(long, env = "CONFIRM_KEY", hide_env_values = true, value_name = "KEYS", help_heading = "Links")]
    pub confirm_key: Option<String>,

    /// Origins that links may lead to, separated by commas. If this is not set, links may lead only to the origin of
    /// SUPABASE_URL. Example: https://auth.example.com
    #[arg(long, env = "LINK_ORIGINS", value_name = "ORIGINS", help_heading = "Links")]
    pub link_origins: Option<String>,

    /// Required. Key that encrypts links while they are stored: 32 bytes in base64, the same for all workers. Several
    /// keys are separated by commas: the first one encrypts, and all of them decrypt. Example: the output of `openssl
    /// rand -base64 32`
    #[arg(long, env = "LINK_SEALING_KEY", hide_env_values = true, value_name = "KEYS", help_heading = "Links")]
    pub link_sealing_key: Option<String>,

    /// Address of the listener for health checks and metrics. Do not make it public. Port 0 picks any free port.
    /// Example: 0.0.0.0:8081
    #[arg(
        long,
        env = "WORKER_LISTEN",
        default_value = "127.0.0.1:8081",
        value_name = "ADDRESS",
        help_heading = "Health"
    )]
    pub worker_listen: String,

    /// Required. URL of the Supabase project, without /auth/v1. Example: https://abcdefghijklmnopqrst.supabase.co
    #[arg(long, env = "SUPABASE_URL", value_name = "URL", help_heading = "Supabase Auth")]
    pub supabase_url: Option<String>,

    /// Required. The project's secret key (sb_secret_…), or its service_role JWT. The worker does not start with a
    /// publishable or anon key. Example: sb_secret_example
    #[arg(
        long,
        env = "SUPABASE_SERVICE_ROLE_KEY",
        hide_env_values = true,
        value_name = "KEY",
        help_heading = "Supabase Auth"
    )]
    pub supabase_service_role_key: Option<String>,

    /// PEM file with certificate authorities that are trusted for SUPABASE_URL only, in addition to the public ones.
    /// Example: /etc/ssl/company-ca.pem
    #[arg(long, env = "SUPABASE_CA_FILE", value_name = "FILE", help_heading = "Supabase Auth")]
    pub supabase_ca_file: Option<String>,

    /// Maximum number of calls to Supabase at a time, 1 to 1000. Example: 16
    #[arg(
        long,
        env = "SUPABASE_CONCURRENCY",
        default_value = "16",
        value_name = "NUMBER",
        help_heading = "Supabase Auth"
    )]
    pub supabase_concurrency: String,

    /// Whether a person without an account gets one: allow or deny. With allow, Supabase creates an account for anybody
    /// who requests a link, even if sign-ups are disabled in Supabase. With deny, such a person gets neither a mail nor
    /// an account. Example: deny
    #[arg(long, env = "SIGNUPS", default_value = "allow", value_name = "ALLOW", help_heading = "Supabase Auth")]
    pub signups: String,

    /// URL of Mailgun's API in the domain's region. Example: https://api.eu.mailgun.net
    #[arg(
        long,
        env = "MAILGUN_BASE_URL",
        default_value = "https://api.mailgun.net",
        value_name = "URL",
        help_heading = "Mailgun"
    )]
    pub mailgun_base_url: String,

    /// Required. Domain that mail is sent from. Example: mg.example.com
    #[arg(long, env = "MAILGUN_DOMAIN", value_name = "DOMAIN", help_heading = "Mailgun")]
    pub mailgun_domain: Option<String>,

    /// Required. Sending key for MAILGUN_DOMAIN. Example: key-example
    #[arg(long, env = "MAILGUN_API_KEY", hide_env_values = true, value_name = "KEY", help_heading = "Mailgun")]
    pub mailgun_api_key: Option<String>,

    /// Required. Sender of the mails: an address at MAILGUN_DOMAIN or at one of its parent domains. In .env, put the
    /// value in quotes. Example: Example Portal <sign-in@mg.example.com>
    #[arg(long, env = "MAIL_FROM", value_name = "SENDER", help_heading = "Mailgun")]
    pub mail_from: Option<String>,

    /// Maximum rate at which each worker sends mails to Mailgun. After a pause, a worker may send a burst of as many
    /// mails as the number before the slash. Example: 20/1s
    #[arg(long, env = "MAILGUN_RATE", default_value = "20/1s", value_name = "QUOTA", help_heading = "Mailgun")]
    pub mailgun_rate: String,

    /// Whether Mailgun delivers over TLS only: true or false. With false, mail to a server without TLS is sent
    /// unencrypted. Example: false
    #[arg(long, env = "MAILGUN_REQUIRE_TLS", default_value = "true", value_name = "BOOL", help_heading = "Mailgun")]
    pub mailgun_require_tls: String,

    /// Whether Mailgun accepts any certificate from a recipient's mail server: true or false. With false, Mailgun
    /// accepts only certificates that it can verify. Example: true
    #[arg(
        long,
        env = "MAILGUN_SKIP_VERIFICATION",
        default_value = "false",
        value_name = "BOOL",
        help_heading = "Mailgun"
    )]
    pub mailgun_skip_verification: String,

    /// Key that may read the domain's events and change its suppressions. With it, the worker asks Mailgun about mails
    /// whose final status no webhook reported. Without it, the worker makes no such queries. Example:
    /// key-example-of-events
    #[arg(long, env = "MAILGUN_EVENTS_KEY", hide_env_values = true, value_name = "KEY", help_heading = "Mailgun")]
    pub mailgun_events_key: Option<String>,

    /// Mailgun API that the worker queries: events (GET /v3/{domain}/events) or logs (its successor, POST
    /// /v1/analytics/logs). Example: logs
    #[arg(long, env = "MAILGUN_EVENTS_API", default_value = "events", value_name = "NAME", help_heading = "Mailgun")]
    pub mailgun_events_api: String,

    /// HTTP proxy for the calls to Supabase and Mailgun. The variable may also be in lower case. Calls to this machine
    /// never use the proxy. Example: http://proxy.internal:3128
    #[arg(long, env = "HTTPS_PROXY", hide_env_values = true, value_name = "URL", help_heading = "Proxy")]
    pub https_proxy: Option<String>,

    /// Hosts, domains and networks that are called without the proxy, separated by commas. The variable may also be in
    /// lower case. Example: supabase.internal,10.0.0.0/8
    #[arg(long, env = "NO_PROXY", value_name = "HOSTS", help_heading = "Proxy")]
    pub no_proxy: Option<String>,

    /// Maximum number of deliveries at a time, 1 to 10000. Example: 64
    #[arg(long, env = "WORKER_CONCURRENCY", default_value = "64", value_name = "NUMBER", help_heading = "Deliveries")]
    pub worker_concurrency: String,

    /// Seconds after which other workers take over a dead worker's jobs, 5 to 3600. Example: 30
    #[arg(long, env = "LEASE_SECONDS", default_value = "30", value_name = "SECONDS", help_heading = "Deliveries")]
    pub lease_seconds: String,

    /// Number of attempts after which a job fails, 1 to 1000. Example: 20
    #[arg(long, env = "MAX_ATTEMPTS", default_value = "20", value_name = "NUMBER", help_heading = "Deliveries")]
    pub max_attempts: String,

    /// Timeout for one call to Supabase or Mailgun. Supabase itself gives up after ten seconds, so the worker logs a
    /// warning at startup if this timeout is shorter. Example: 12s
    #[arg(long, env = "UPSTREAM_TIMEOUT", default_value = "12s", value_name = "TIME", help_heading = "Deliveries")]
    pub upstream_timeout: String,

    /// Time limit in seconds for running deliveries to finish after SIGTERM, 0 to 3600. After that, their jobs are
    /// handed over to other workers. Example: 25
    #[arg(long, env = "SHUTDOWN_SECONDS", default_value = "25", value_name = "SECONDS", help_heading = "Deliveries")]
    pub shutdown_seconds: String,

    /// Number of days for which job history is kept, 1 to 3650. Example: 30
    #[arg(long, env = "RETENTION_DAYS", default_value = "30", value_name = "DAYS", help_heading = "Deliveries")]
    pub retention_days: String,
}

/// Commands to run instead of delivering mail.
#[derive(Subcommand)]
pub enum WorkerCommand {
    /// Brings the tables up to date and creates the partitions for the coming days. Needs DATABASE_URL only.
    Migrate,
    /// Removes a person's address, and all text that was reported about it, from all tables. Prints how many rows
    /// contained the address. Anonymous rows remain, so that counts stay correct. Needs DATABASE_URL only.
    Forget {
        /// The address. Example: ann@example.com
        address: String,
    },
    /// Checks the settings, Postgres, Supabase Auth, Mailgun and DNS, and prints one line for each probe: ok, warn,
    /// FAIL or skip, and what to do about it. Sends no mail. Changes nothing, except that --as replaces one account's
    /// link. Exits with 0 if no probe failed, 1 if any probe failed, and 2 if a setting is wrong. Needs all of the
    /// worker's settings, except with --peer.
    Check(CheckArguments),
    /// Prints whether Supabase and Mailgun are stopped or paused, and why. Needs DATABASE_URL only.
    Upstreams,
    /// Shows what happened to mails: lists jobs, shows everything about one job, or prints changes as they happen. Also
    /// cancels and retries jobs. Needs DATABASE_URL only. The magic_link_viewer role is enough to show jobs. Cancelling
    /// and retrying need the magic_link_operator role.
    ///
    /// Exit codes: 0 success; 1 database error; 2 wrong argument or setting; 3 no such job; 4 at least one job was not
    /// cancelled or retried.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Pauses mail, one upstream or one portal on all workers, for a limited time, or lists what is paused. Affected
    /// mails that have not yet been handed to Mailgun wait. Needs DATABASE_URL only, with the magic_link_operator role.
    Pause(PauseArguments),
    /// Ends a pause immediately. Exits with 3 if the target is not paused. Needs DATABASE_URL only, with the
    /// magic_link_operator role.
    Resume(ResumeArguments),
    /// Previews the mails, or sends a test mail.
    #[command(subcommand)]
    Mail(MailCommand),
    /// Prints an example .env for both programs: every setting with an explanation, and a new LINK_SEALING_KEY.
    /// Needs no settings.
    ExampleEnv,
}

/// The subcommands of `mail`.
#[derive(Subcommand)]
pub enum MailCommand {
    /// Writes the mails of every portal, language and style to a folder, as text and as HTML, with their headers. Also
    /// writes index.html, which shows the mails side by side in light and dark mode. Needs no settings. MAIL_TEMPLATES
    /// adds your own words and templates.
    Preview {
        /// The folder to write to. Existing files with the same names are overwritten. Example: /tmp/mails
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// Only this language. Example: de
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
        /// Only this style.
        #[arg(long, value_name = "STYLE")]
        style: Option<MailStyle>,
        /// Only this portal. Example: shop
        #[arg(long, value_name = "ID")]
        portal: Option<String>,
    },
    /// Sends one example mail through Mailgun and prints its id. The mail says that it is a test, and its link does not
    /// sign anybody in. Needs the Mailgun settings.
    SendTest {
        /// The recipient. Example: ann@example.com
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// The language of the mail. By default, the portal's default language, or English if the portal has none.
        /// Example: de
        #[arg(long, value_name = "TAG")]
        language: Option<String>,
        /// The style.
        #[arg(long, value_name = "STYLE", default_value = "link")]
        style: MailStyle,
        /// The portal. Example: shop
        #[arg(long, value_name = "ID")]
        portal: Option<String>,
    },
}

/// The settings that the log may show. Keys are left out, as are the URLs of the database and the proxy, which may
/// contain passwords, and MAIL_FROM, which is an address.
const PUBLIC: [&str; 29] = [
    "DATABASE_MAX_CONNECTIONS",
    "MIGRATE_ON_START",
    "LOG_FORMAT",
    "RUST_LOG",
    "LINK_LIFETIME",
    "LINK_STYLE",
    "MAIL_CODE",
    "MAIL_TEMPLATES",
    "PORTALS_FILE",
    "PUBLIC_URL",
    "LINK_ORIGINS",
    "WORKER_LISTEN",
    "SUPABASE_URL",
    "SUPABASE_CA_FILE",
    "SUPABASE_CONCURRENCY",
    "SIGNUPS",
    "MAILGUN_BASE_URL",
    "MAILGUN_DOMAIN",
    "MAILGUN_RATE",
    "MAILGUN_REQUIRE_TLS",
    "MAILGUN_SKIP_VERIFICATION",
    "MAILGUN_EVENTS_API",
    "NO_PROXY",
    "WORKER_CONCURRENCY",
    "LEASE_SECONDS",
    "MAX_ATTEMPTS",
    "UPSTREAM_TIMEOUT",
    "SHUTDOWN_SECONDS",
    "RETENTION_DAYS",
];

impl WorkerArguments {
    /// Lists the settings that differ from their defaults, for the first line of the log. Leaves out settings that
    /// contain secrets or people's addresses.
    #[must_use]
    pub fn changed(matches: &ArgMatches) -> String {
        changed_settings(&Self::command(), matches, &PUBLIC)
    }
}
