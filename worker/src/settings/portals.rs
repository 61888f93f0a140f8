//! The portals in whose names mails are sent: `PORTALS_FILE`, or the one portal that the environment describes. On SIGHUP, the
//! file is read again.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use portals::{LinkStyleName, MailCode, Portal, PortalRules};
use program::SettingErrors;
use words::{Fault, Language};

use super::{LinkSettings, MIN_LINK_LIFETIME, PortalLinks, WorkerArguments, links::given};

const FILE: (&str, &str) = ("PORTALS_FILE", "/etc/magic-link/portals.toml");

/// A portal, as the worker sends its mails.
#[derive(Clone)]
pub struct MailPortal {
    /// What `PORTALS_FILE` says. `None` for the portal that the environment describes.
    pub portal: Option<Arc<Portal>>,
    /// What links lead to, and which codes mails show.
    pub links: PortalLinks,
}

/// All portals.
#[derive(Clone)]
pub struct MailPortals {
    /// The portal of jobs that were added without `PORTALS_FILE`.
    default: Arc<MailPortal>,
    /// The portals of the file by id. `None` without a file.
    by_id: Option<HashMap<String, Arc<MailPortal>>>,
}

impl MailPortals {
    /// The portal with this id, or the portal that the environment describes if there is no id. `None` if the worker does not
    /// know the portal.
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

    /// The ids of the file's portals, sorted. `None` without a file.
    #[must_use]
    pub fn ids(&self) -> Option<Vec<String>> {
        let mut ids: Vec<String> = self.by_id.as_ref()?.keys().cloned().collect();
        ids.sort();
        Some(ids)
    }

    /// The portals in whose names new mails are sent: those of the file, sorted by id, or the one that the environment
    /// describes.
    #[must_use]
    pub fn in_use(&self) -> Vec<&Arc<MailPortal>> {
        match &self.by_id {
            None => vec![&self.default],
            Some(by_id) => {
                let mut portals: Vec<_> = by_id.iter().collect();
                portals.sort_by_key(|(id, _)| *id);
                portals.into_iter().map(|(_, portal)| portal).collect()
            }
        }
    }
}

/// What it takes to read the portals, at the start and on SIGHUP.
#[derive(Clone)]
pub struct PortalsSource {
    file: Option<PathBuf>,
    links: LinkSettings,
    mailgun_domain: String,
    link_lifetime: Duration,
}

impl PortalsSource {
    /// Takes the settings that stay the same until the program ends.
    pub(super) fn new(
        arguments: &WorkerArguments,
        links: LinkSettings,
        mailgun_domain: String,
        link_lifetime: Duration,
    ) -> Self {
        let file = given(arguments.portals_file.as_deref()).map(PathBuf::from);
        Self { file, links, mailgun_domain, link_lifetime }
    }

    /// Reads the portals. `known` are the languages in which mails can be written. Adds an error for each fault, and returns
    /// `None` if there is any.
    pub fn load(&self, known: &[Language], errors: &mut SettingErrors) -> Option<MailPortals> {
        let default = Arc::new(MailPortal { portal: None, links: self.links.default.clone() });
        let Some(file) = &self.file else { return Some(MailPortals { default, by_id: None }) };
        let portals = errors.read_all(FILE.0, FILE.1, self.read_file(file, known))?;
        let by_id =
            portals.into_iter().filter_map(|portal| Some((portal.portal.as_ref()?.id.to_string(), portal.into())));
        Some(MailPortals { default, by_id: Some(by_id.collect()) })
    }

    fn read_file(&self, file: &Path, known: &[Language]) -> Result<Vec<MailPortal>, Vec<Fault>> {
        let portals = portals::read_file(file, known)?;
        let rules = PortalRules {
            mailgun_domain: Some(&self.mailgun_domain),
            max_job_deadline: self.link_lifetime.saturating_sub(MIN_LINK_LIFETIME),
        };
        let mut faults = rules.check(&portals);
        let mut complete = vec![];
        for portal in portals {
            match self.complete(portal) {
                Ok(portal) => complete.push(portal),
                Err(fault) => faults.push(fault),
            }
        }
        if faults.is_empty() {
            return Ok(complete);
        }
        faults.sort();
        Err(faults)
    }

    /// Takes what the file leaves out from the environment.
    fn complete(&self, portal: Portal) -> Result<MailPortal, Fault> {
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
        Ok(MailPortal { links: PortalLinks { style, mail_code }, portal: Some(portal.into()) })
    }
}
