//! The settings that are files: SIGHUP reads them again while the worker runs.

use program::SettingErrors;

use super::WorkerArguments;
use crate::mail::look_set::LookSet;

/// Where the files are.
#[derive(Debug, Clone)]
pub struct ReloadSource {
    mail_templates: Option<String>,
}

/// What the files contain. Clones share it.
#[derive(Clone)]
pub struct ReloadableSettings {
    /// How the mails of each portal look.
    pub looks: LookSet,
}

impl ReloadSource {
    /// The files that the settings name.
    #[must_use]
    pub fn new(arguments: &WorkerArguments) -> Self {
        Self { mail_templates: arguments.mail_templates.clone() }
    }

    /// Reads and checks the files. Adds an error for each fault in them.
    pub fn read(&self, errors: &mut SettingErrors) -> Option<ReloadableSettings> {
        let looks = LookSet::read(self.mail_templates.as_deref(), &[]);
        let looks = errors.read_all("MAIL_TEMPLATES", "/etc/magic-link/templates", looks)?;
        Some(ReloadableSettings { looks })
    }
}
