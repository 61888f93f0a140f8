//! The settings of the portals (`PORTALS_FILE`, or `CALLBACK_ORIGINS` and the other settings of a single portal) and
//! the messages in `MAIL_TEMPLATES`. On SIGHUP, the portals and the messages are read again.

use std::{path::Path, sync::Arc, time::Duration};

use portals::{AllowedOrigins, LinkStyleName, NextPrefixes, PortalRules, parse_path};
use program::SettingErrors;
use words::{TimeZone, WordsFolder};

use super::{ApiArguments, DELIVERY_TIME, OfferedLanguages, languages};
use crate::portal::{Portal, PortalList, live::LiveSettings};

const ORIGINS: (&str, &str) = ("CALLBACK_ORIGINS", "https://example.com");
pub(super) const FILE: (&str, &str) = ("PORTALS_FILE", "/etc/magic-link/portals.toml");

/// Everything that is needed to read the portals and the messages in `MAIL_TEMPLATES`, at startup and on SIGHUP.
#[derive(Debug)]
pub(crate) struct LiveSource {
    /// `MAIL_TEMPLATES`.
    templates: Option<String>,
    /// `LANGUAGES`.
    languages: String,
    portals: PortalsSource,
    /// `CALLBACK_PATH`.
    callback_path: String,
    /// `CALLBACK_NEXT_PREFIXES`.
    next_prefixes: NextPrefixes,
    /// `MAILGUN_DOMAIN`.
    mailgun_domain: Option<String>,
    link_lifetime: Duration,
    /// Whether this api serves the confirm page.
    has_confirm_page: bool,
}

#[derive(Debug)]
enum PortalsSource {
    /// `PORTALS_FILE`.
    File(String),
    /// `CALLBACK_ORIGINS`, for a single portal.
    Environment(AllowedOrigins),
}

/// The settings that determine the callback URLs.
pub(super) struct CallbackSettings {
    portals: PortalsSource,
    path: String,
    next_prefixes: NextPrefixes,
}

impl CallbackSettings {
    pub(super) fn read(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<Self> {
        let portals = read_source(arguments, errors);
        let path = errors.read("CALLBACK_PATH", "/auth/callback", parse_path(arguments.callback_path.trim()));
        let prefixes = errors.parse("CALLBACK_NEXT_PREFIXES", "/app,/docs", &arguments.callback_next_prefixes);
        Some(Self { portals: portals?, path: path?, next_prefixes: prefixes? })
    }
}

impl LiveSource {
    /// Creates the source from settings that are not themselves reloaded.
    pub(super) fn new(
        arguments: &ApiArguments,
        callback: CallbackSettings,
        link_lifetime: Duration,
        has_confirm_page: bool,
    ) -> Self {
        let mailgun_domain = arguments.mailgun_domain.trim();
        Self {
            templates: arguments.mail_templates.clone(),
            languages: arguments.languages.clone(),
            portals: callback.portals,
            callback_path: callback.path,
            next_prefixes: callback.next_prefixes,
            mailgun_domain: (!mailgun_domain.is_empty()).then(|| mailgun_domain.to_ascii_lowercase()),
            link_lifetime,
            has_confirm_page,
        }
    }

    /// Reads the portals and the messages in `MAIL_TEMPLATES`. Adds an error to `errors` for each fault, and returns
    /// `None` if there is any.
    pub(crate) fn load(&self, errors: &mut SettingErrors) -> Option<LiveSettings> {
        let words = WordsFolder::from_setting(self.templates.as_deref());
        let words = errors.read_all("MAIL_TEMPLATES", "/etc/magic-link/templates", words);
        // If `MAIL_TEMPLATES` has faults, the available languages are unknown. Faults in `PORTALS_FILE` that do not
        // concern languages are still reported.
        let languages = words.as_ref().and_then(|words| languages::read(&self.languages, &words.common, errors));
        let portals = match &self.portals {
            PortalsSource::Environment(origins) => Some(vec![self.single(origins.clone(), languages?)]),
            PortalsSource::File(path) => self.read_file(Path::new(path), words.as_ref(), languages.as_ref(), errors),
        };
        Some(LiveSettings { portals: PortalList::new(portals?), words: words? })
    }

    /// The portal that the environment describes.
    fn single(&self, origins: AllowedOrigins, languages: OfferedLanguages) -> Portal {
        Portal {
            id: None,
            origins,
            callback_path: self.callback_path.clone(),
            next_prefixes: self.next_prefixes.clone(),
            languages,
            time_zone: TimeZone::UTC,
            deadline: None,
            recipient_quota: None,
        }
    }

    fn read_file(
        &self,
        path: &Path,
        words: Option<&WordsFolder>,
        languages: Option<&OfferedLanguages>,
        errors: &mut SettingErrors,
    ) -> Option<Vec<Portal>> {
        let portals = portals::read_file(path, words).and_then(|portals| {
            let rules = PortalRules {
                mailgun_domain: self.mailgun_domain.as_deref(),
                max_job_deadline: self.link_lifetime.saturating_sub(DELIVERY_TIME),
            };
            let mut faults = rules.check(&portals);
            if !self.has_confirm_page {
                let with_page = portals.iter().filter(|portal| portal.link_style == Some(LinkStyleName::Confirm));
                faults.extend(with_page.map(|portal| portal.fault("link_style", "needs PUBLIC_URL and CONFIRM_KEY")));
            }
            if faults.is_empty() { Ok(portals) } else { Err(faults) }
        });
        let portals = errors.read_all(FILE.0, FILE.1, portals)?;
        let languages = languages?;
        Some(portals.into_iter().map(|portal| self.complete(portal, languages)).collect())
    }

    /// Completes a portal from the file with settings from the environment.
    fn complete(&self, portal: portals::Portal, languages: &OfferedLanguages) -> Portal {
        Portal {
            id: Some(portal.id),
            origins: portal.origins,
            callback_path: portal.callback_path.unwrap_or_else(|| self.callback_path.clone()),
            next_prefixes: portal.next_prefixes.unwrap_or_else(|| self.next_prefixes.clone()),
            languages: portal.languages.map_or_else(|| languages.clone(), OfferedLanguages::from),
            time_zone: portal.time_zone.unwrap_or(TimeZone::UTC),
            deadline: portal.job_deadline,
            recipient_quota: portal.recipient_rate_limit.map(Arc::new),
        }
    }
}

fn read_source(arguments: &ApiArguments, errors: &mut SettingErrors) -> Option<PortalsSource> {
    let given =
        |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
    match (given(&arguments.portals_file), given(&arguments.callback_origins)) {
        (None, None) => {
            let what = if arguments.callback_origins.is_some() { "empty" } else { "missing" };
            errors.add(ORIGINS.0, ORIGINS.1, format!("is {what}: set it, or PORTALS_FILE for several portals"));
            None
        }
        (None, Some(origins)) => errors.parse(ORIGINS.0, ORIGINS.1, &origins).map(PortalsSource::Environment),
        (Some(file), None) => Some(PortalsSource::File(file)),
        (Some(_), Some(_)) => {
            let problem = "cannot be combined with PORTALS_FILE, in which each portal has its own origins".to_owned();
            errors.add(ORIGINS.0, ORIGINS.1, problem);
            None
        }
    }
}
