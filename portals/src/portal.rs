//! A portal from `PORTALS_FILE`.

use std::{collections::BTreeMap, time::Duration};

use outbox::Quotas;
use words::{Fault, Language, TimeZone};

use super::{AllowedOrigins, Colour, LinkStyleName, Logo, MailCode, NextPrefixes, PortalId, PortalName, Support};

/// A portal from `PORTALS_FILE`. If an optional field is missing, the same value applies as in a deployment without the
/// file.
#[derive(Debug, Clone)]
pub struct Portal {
    /// The name that identifies the portal in programs, tables and metrics.
    pub id: PortalId,
    /// The name that mails show.
    pub name: PortalName,
    /// The origins that links may lead back to.
    pub origins: AllowedOrigins,
    /// Path of the callback page. Overrides `CALLBACK_PATH`.
    pub callback_path: Option<String>,
    /// `callback_next` must be under one of these paths. Overrides `CALLBACK_NEXT_PREFIXES`.
    pub next_prefixes: Option<NextPrefixes>,
    /// Sender of the mails: `Name <address>` or an address. Overrides `MAIL_FROM`.
    pub from: Option<String>,
    /// Address for replies: `Name <address>` or an address. The default is the sender's address.
    pub reply_to: Option<String>,
    /// Where links lead. Overrides `LINK_STYLE`.
    pub link_style: Option<LinkStyleName>,
    /// Which codes are shown in mails. Overrides `MAIL_CODE`.
    pub code: Option<MailCode>,
    /// Languages of the mails, the default first. Overrides `LANGUAGES`.
    pub languages: Option<Vec<Language>>,
    /// Time zone for people whose requests do not specify one. The default is UTC.
    pub time_zone: Option<TimeZone>,
    /// Colour of the button.
    pub colour: Option<Colour>,
    /// The logo at the top of the mail.
    pub logo: Option<Logo>,
    /// Where people can ask questions.
    pub support: Option<Support>,
    /// Time after which a job expires if its mail has not been sent. Overrides `JOB_DEADLINE`.
    pub job_deadline: Option<Duration>,
    /// Quota for mails to one person through this portal, in addition to `RECIPIENT_RATE_LIMIT`, which applies across
    /// all portals.
    pub recipient_rate_limit: Option<Quotas>,
    /// The file name shown in errors.
    pub(crate) file: String,
    /// The line number of the portal's heading.
    pub(crate) line: usize,
    /// The line number of each of the portal's fields.
    pub(crate) lines: BTreeMap<&'static str, usize>,
}

impl Portal {
    /// Returns a fault in one of the portal's fields, with the field's line number. `problem` continues the sentence
    /// that begins with the field's name.
    #[must_use]
    pub fn fault(&self, field: &'static str, problem: &str) -> Fault {
        let line = self.lines.get(field).copied().unwrap_or(self.line);
        Fault::new(&self.file, line, format!("`{field}` of the portal `{}` {problem}.", self.id))
    }
}
