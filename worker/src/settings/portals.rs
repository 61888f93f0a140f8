//! The portals on whose behalf mails are sent: those in `PORTALS_FILE`, or the single portal that the environment
//! describes. SIGHUP reloads the file.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portals::{LinkStyleName, MailCode, Portal, PortalRules};
use program::SettingErrors;
use words::{Fault, WordsFolder};

use super::{LinkSettings, MIN_LINK_LIFETIME, PortalLinks, WorkerArguments, links::given};
use crate::mail::{look::Look, look_set::LookSet};

const FILE: (&str, &str) = ("PORTALS_FILE", "/etc/magic-link/portals.toml");

/// The settings that determine a portal's mails.
#[derive(Clone)]
pub struct MailPortal {
    /// What links lead to, and which codes mails show.
    pub links: PortalLinks,
    /// How the mails look.
    pub(crate) look: Arc<Look>,
}

/// All portals.
#[derive(Clone)]
pub struct MailPortals {
    /// The portal of jobs that were added without `PORTALS_FILE`.
    default: Arc<MailPortal>,
    /// The portals in the file, by id. `None` if there is no file.
    by_id: Option<HashMap<String, Arc<MailPortal>>>,
}

impl MailPortals {
    /// The portal with this id, or the portal that the environment describes if there is no id. `None` if no portal
    /// with this id is configured.
    #[must_use]
    pub fn find(&self, id: Option<&str>) -> Option<&Arc<MailPortal>> {
        match id {
            None => Some(&self.default),
            Some(id) => self.by_id.as_ref()?.get(id),
        }
    }

    /// The portal of jobs that were added without `PORTALS_FILE`.
    #[must_use]
    pub fn default_portal(&self) -> &Arc<MailPortal> {
        &self.default
    }

    /// Number of portals; 1 if there is no file.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.as_ref().map_or(1, HashMap::len)
    }

    /// The sorted ids of the portals in the file. `None` if there is no file.
    #[must_use]
    pub fn ids(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = self.by_id.as_ref()?.keys().cloned().collect();
        ids.sort();
        Some(ids)
    }
}

/// The portals in a file, each with its link settings.
pub(super) type FilePortals = Vec<(Portal, PortalLinks)>;

/// Reads only the file, without checking it against other settings. Adds an error for each fault.
pub(super) fn read_file(file: &Path, words: Option<&WordsFolder>, errors: &mut SettingErrors) -> Option<Vec<Portal>> {
    errors.read_all(FILE.0, FILE.1, portals::read_file(file, words))
}

/// Everything that is needed to read the portals, at startup and on SIGHUP.
#[derive(Clone)]
pub struct PortalsSource {
    file: Option<PathBuf>,
    links: LinkSettings,
    mailgun_domain: String,
    link_lifetime: Duration,
}

impl PortalsSource {
    /// Stores the settings that do not change while the program runs.
    pub(super) fn new(
        arguments: &WorkerArguments,
        links: LinkSettings,
        mailgun_domain: String,
        link_lifetime: Duration,
    ) -> Self {
        let file = given(arguments.portals_file.as_deref()).map(PathBuf::from);
        Self { file, links, mailgun_domain, link_lifetime }
    }

    /// Reads the portals and their link settings. Returns `Some(None)` if there is no file. `words` are the words in
    /// `MAIL_TEMPLATES`, or `None` if they have faults. Adds an error for each fault, and returns `None` if there are
    /// any.
    pub(super) fn read(&self, words: Option<&WordsFolder>, errors: &mut SettingErrors) -> Option<Option<FilePortals>> {
        let Some(file) = &self.file else { return Some(None) };
        errors.read_all(FILE.0, FILE.1, self.read_checked(file, words)).map(Some)
    }

    /// Adds the looks to the portals that [`read`](Self::read) returned.
    pub(super) fn with_looks(&self, portals: Option<FilePortals>, looks: &LookSet) -> MailPortals {
        let with_look = |id: Option<&str>, links| Arc::new(MailPortal { links, look: Arc::clone(looks.of_portal(id)) });
        let of_portal = |(portal, links): (Portal, PortalLinks)| {
            let id = portal.id.to_string();
            (id.clone(), with_look(Some(&id), links))
        };
        MailPortals {
            default: with_look(None, self.links.default.clone()),
            by_id: portals.map(|portals| portals.into_iter().map(of_portal).collect()),
        }
    }

    fn read_checked(&self, file: &Path, words: Option<&WordsFolder>) -> Result<FilePortals, Vec<Fault>> {
        let portals = portals::read_file(file, words)?;
        let rules = PortalRules {
            mailgun_domain: Some(&self.mailgun_domain),
            max_job_deadline: self.link_lifetime.saturating_sub(MIN_LINK_LIFETIME),
        };
        let mut faults = rules.check(&portals);
        let mut complete = vec![];
        for portal in portals {
            match self.links_of(&portal) {
                Ok(links) => complete.push((portal, links)),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            return Ok(complete);
        }
        faults.sort();
        Err(faults)
    }

    /// A portal's link settings. Settings that are missing from the file are taken from the environment.
    fn links_of(&self, portal: &Portal) -> Result<PortalLinks, Fault> {
        let defaults = &self.links.default;
        let style = match portal.link_style {
            None => defaults.style.clone(),
            Some(name) => self.links.style(name).ok_or_else(|| {
                let problem = "is confirm, which needs PUBLIC_URL and CONFIRM_KEY";
                portal.fault("link_style", problem)
            })?,
        };
        let mail_code = portal.code.unwrap_or(defaults.mail_code);
        if style.name() == LinkStyleName::Code && mail_code == MailCode::Off {
            let field = if portal.code.is_some() { "code" } else { "link_style" };
            return Err(portal.fault(field, "leaves the mails without a link and without a code: set code to on"));
        }
        Ok(PortalLinks { style, mail_code })
    }
}
