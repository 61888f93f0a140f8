//! The settings in `PORTALS_FILE` and `MAIL_TEMPLATES`. SIGHUP reloads these files while the worker runs.

use std::path::Path;

use ::portals::Portal;
use program::SettingErrors;
use words::WordsFolder;

use super::{MailPortals, PortalsSource, WorkerArguments, links::given, portals};
use crate::mail::{brand::Brand, look_set::LookSet};

const TEMPLATES: (&str, &str) = ("MAIL_TEMPLATES", "/etc/magic-link/templates");

/// Where to read the files from.
#[derive(Clone)]
pub struct ReloadSource {
    mail_templates: Option<String>,
    portals: PortalsSource,
}

/// The contents of the files. Clones share the contents.
#[derive(Clone)]
pub struct ReloadableSettings {
    /// How each portal's mails look.
    pub looks: LookSet,
    /// The portals on whose behalf mails are sent.
    pub portals: MailPortals,
}

impl ReloadSource {
    /// The files that the settings specify.
    pub(super) fn new(arguments: &WorkerArguments, portals: PortalsSource) -> Self {
        Self { mail_templates: arguments.mail_templates.clone(), portals }
    }

    /// Reads and checks the files. Adds an error for each fault in them.
    pub fn read(&self, errors: &mut SettingErrors) -> Option<ReloadableSettings> {
        let templates = self.mail_templates.as_deref();
        let words = WordsFolder::from_setting(templates).ok();
        let portals = self.portals.read(words.as_ref(), errors);
        let brands =
            portals.as_ref().map(|portals| portals.iter().flatten().map(|(portal, _)| portal.into()).collect());
        let looks = read_looks_for(templates, brands, errors)?;
        let portals = self.portals.with_looks(portals?, &looks);
        Some(ReloadableSettings { looks, portals })
    }
}

/// Reads and checks only the files that determine how mails look, without checking them against other settings.
pub fn read_looks(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<LookSet> {
    let templates = arguments.mail_templates.as_deref();
    let words = WordsFolder::from_setting(templates).ok();
    let brands = match given(arguments.portals_file.as_deref()) {
        None => Some(vec![]),
        Some(file) => portals::read_file(Path::new(file), words.as_ref(), errors)
            .map(|portals: Vec<Portal>| portals.iter().map(Brand::from).collect()),
    };
    read_looks_for(templates, brands, errors)
}

/// Reads the words and templates of these portals. Adds an error for each fault. If the portals are unknown (`None`),
/// only the files that concern all portals are checked.
fn read_looks_for(templates: Option<&str>, brands: Option<Vec<Brand>>, errors: &mut SettingErrors) -> Option<LookSet> {
    let Some(brands) = brands else {
        let of_all = LookSet::read_common(templates);
        errors.read_all(TEMPLATES.0, TEMPLATES.1, of_all);
        return None;
    };
    errors.read_all(TEMPLATES.0, TEMPLATES.1, LookSet::read(templates, &brands))
}
