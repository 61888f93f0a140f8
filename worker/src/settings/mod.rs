//! The settings, parsed at startup. `PORTALS_FILE` and `MAIL_TEMPLATES` are read again on SIGHUP. All invalid settings
//! are reported together, each with its variable and an example. No error message contains a secret.

mod arguments;
mod check;
mod check_arguments;
mod check_caller;
mod connection;
mod database;
mod jobs;
mod limits;
mod links;
mod mailgun;
mod pause;
mod portals;
mod proxy;
mod reload;
mod supabase;
mod supabase_key;
mod values;
mod warnings;

use std::{net::SocketAddr, time::Duration};

use program::SettingErrors;

pub use ::portals::MailCode;
pub use arguments::{MailCommand, WorkerArguments, WorkerCommand};
pub use check::{CheckSettings, CheckedCallback};
pub use check_arguments::CheckArguments;
pub use check_caller::CallerQuestion;
pub use connection::ConnectionSettings;
pub use database::DatabaseSettings;
pub use jobs::{
    ActArguments, CancelArguments, DEFAULT_RETRY_SINCE, DEFAULT_SINCE, FilterArguments, FormatArguments, JobsCommand,
    ListArguments, RetryArguments, ShowArguments, Since, TailArguments, Target,
};
pub use limits::{Limits, MIN_LINK_LIFETIME};
pub use links::{LinkSettings, LinkStyle, PortalLinks};
pub use mailgun::{EventsApi, MailgunClientSettings};
pub use pause::{PauseArguments, ResumeArguments};
pub use portals::{MailPortal, MailPortals, PortalsSource};
pub use proxy::ProxySettings;
pub use reload::{ReloadSource, ReloadableSettings, read_looks};
pub use supabase::{Signups, SupabaseClientSettings};
pub(crate) use supabase_key::project_of_key;
pub(crate) use values::is_loopback;
pub(crate) use warnings::Warning;

use crate::mail::{link_seal::SealingKeys, look_set::LookSet};

/// Everything that the worker needs to deliver mail.
pub struct WorkerSettings {
    /// Postgres.
    pub database: DatabaseSettings,
    /// Supabase Auth, which creates the links.
    pub supabase: SupabaseClientSettings,
    /// Mailgun, which sends the mails.
    pub mailgun: MailgunClientSettings,
    /// Address on which health checks and metrics are served.
    pub listen: SocketAddr,
    /// What links lead to.
    pub links: LinkSettings,
    /// The settings that are reloaded on SIGHUP.
    pub reloadable: ReloadableSettings,
    /// Where the reloadable settings are read from.
    pub reload_source: ReloadSource,
    /// Keys that encrypt stored links.
    pub sealing_keys: SealingKeys,
    /// The durations and counts that limit deliveries.
    pub limits: Limits,
}

impl WorkerSettings {
    /// Logs a warning for each setting that is valid but probably a mistake.
    pub(crate) fn log_warnings(&self) {
        self.warnings().into_iter().for_each(|warning| tracing::warn!("{warning}"));
    }

    /// A warning for each setting that is valid but probably a mistake.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        warnings::collect(self)
    }

    /// Reads only the settings for a test mail: Mailgun, the looks, and the timeout for the call to Mailgun.
    pub(crate) fn read_for_test_mail(
        arguments: &WorkerArguments,
        errors: &mut SettingErrors,
    ) -> (Option<MailgunClientSettings>, Option<LookSet>, Option<Duration>) {
        let proxy = ProxySettings::read(arguments, errors);
        let mailgun = MailgunClientSettings::read(arguments, proxy.as_ref(), errors);
        let looks = read_looks(arguments, errors);
        let timeout = limits::read_upstream_timeout(arguments, errors);
        (mailgun, looks, timeout)
    }

    /// Parses and checks all settings. Adds an error for each invalid setting, and returns `None` if any setting is
    /// invalid.
    pub fn read(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Self> {
        const KEY: &str = "the output of `openssl rand -base64 32`";
        // Read every setting before the first `?`, so that all errors are reported.
        let database = DatabaseSettings::read(arguments, errors);
        let listen = errors.parse_address("WORKER_LISTEN", "127.0.0.1:8081", &arguments.worker_listen);
        let proxy = ProxySettings::read(arguments, errors);
        let supabase = SupabaseClientSettings::read(arguments, proxy.as_ref(), errors);
        let mailgun = MailgunClientSettings::read(arguments, proxy.as_ref(), errors);
        let links = LinkSettings::read(arguments, errors);
        let sealing_keys = errors
            .required("LINK_SEALING_KEY", KEY, arguments.link_sealing_key.as_ref())
            .and_then(|text| errors.parse("LINK_SEALING_KEY", KEY, text));
        let limits = Limits::read(arguments, errors);
        let source = links.clone().zip(mailgun.as_ref()).zip(limits.as_ref()).map(|((links, mailgun), limits)| {
            PortalsSource::new(arguments, links, mailgun.domain.clone(), limits.link_lifetime)
        });
        let reload_source = source.map(|source| ReloadSource::new(arguments, source));
        let reloadable = match &reload_source {
            Some(source) => source.read(errors),
            // Some settings are invalid, so the files cannot be checked against the settings. Report the other faults
            // in the files.
            None => read_looks(arguments, errors).and(None),
        };
        Some(Self {
            database: database?,
            supabase: supabase?,
            mailgun: mailgun?,
            listen: listen?,
            links: links?,
            reloadable: reloadable?,
            reload_source: reload_source?,
            sealing_keys: sealing_keys?,
            limits: limits?,
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

    fn read(changes: &[&'static str]) -> Result<WorkerSettings, Vec<&'static str>> {
        let name = |argument: &str| argument.split('=').next().map(str::to_owned);
        let kept = GOOD.into_iter().filter(|good| !changes.iter().any(|change| name(change) == name(good)));
        // Every setting that these tests check is passed as an argument, so that environment variables do not affect
        // the tests.
        let arguments = WorkerArguments::parse_from(kept.chain(changes.iter().copied()));
        let mut errors = SettingErrors::default();
        let settings = WorkerSettings::read(&arguments, &mut errors);
        errors.into_result(settings).map_err(|errors| errors.into_iter().map(|error| error.variable).collect())
    }

    #[test]
    fn by_default_links_may_lead_only_to_the_origin_of_supabase_url() {
        let settings = read(&[]).ok().unwrap();
        assert_eq!(settings.supabase.link_origins, ["https://abc.supabase.co"]);
        assert_eq!(settings.limits.lease, Duration::from_secs(30));
    }

    #[test]
    fn every_invalid_setting_is_reported_with_its_variable() {
        let errors = read(&[
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
            errors.err().unwrap(),
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
