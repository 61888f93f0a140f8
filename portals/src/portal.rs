//! A portal of `PORTALS_FILE`.

use std::{collections::BTreeMap, time::Duration};

use outbox::Quotas;
use words::{Fault, Language, TimeZone};

use super::{AllowedOrigins, Colour, LinkStyleName, Logo, MailCode, NextPrefixes, PortalId, PortalName, Support};

/// A portal of `PORTALS_FILE`. If an optional field is missing, the environment decides, as in a deployment without the
/// file.
#[derive(Debug, Clone)]
pub struct Portal {
    /// The name that identifies the portal in programs, tables and metrics.
    pub id: PortalId,
    /// The name that mails show.
    pub name: PortalName,
    /// The origins that links may lead back to.
    pub origins: AllowedOrigins,
    /// Path of the callback page, instead of `CALLBACK_PATH`.
    pub callback_path: Option<String>,
    /// `callback_next` must be under one of these paths. Replaces `CALLBACK_NEXT_PREFIXES`.
    pub next_prefixes: Option<NextPrefixes>,
    /// Sender of the mails, instead of `MAIL_FROM`: `Name <address>` or an address.
    pub from: Option<String>,
    /// Where replies go, instead of to the sender: `Name <address>` or an address.
    pub reply_to: Option<String>,
    /// What links lead to, instead of `LINK_STYLE`.
    pub link_style: Option<LinkStyleName>,
    /// Which codes mails show, instead of `MAIL_CODE`.
    pub code: Option<MailCode>,
    /// Languages of the mails, the default first, instead of `LANGUAGES`.
    pub languages: Option<Vec<Language>>,
    /// Time zone of people whose requests name none, instead of UTC.
    pub time_zone: Option<TimeZone>,
    /// Colour of the button.
    pub colour: Option<Colour>,
    /// The logo at the top of the mail.
    pub logo: Option<Logo>,
    /// Where people can ask questions.
    pub support: Option<Support>,
    /// Time after which a job expires if its mail has not been sent, instead of `JOB_DEADLINE`.
    pub job_deadline: Option<Duration>,
    /// Quota of mails to one person through this portal, in addition to `RECIPIENT_RATE_LIMIT`, which holds across portals.
    pub recipient_rate_limit: Option<Quotas>,
    /// The file, as errors name it.
    pub(crate) file: String,
    /// Line of the portal's heading, and of each of its fields.
    pub(crate) line: usize,
    pub(crate) lines: BTreeMap<&'static str, usize>,
}

impl Portal {
    /// A fault of one of the portal's fields, with its line. `problem` continues the sentence that begins with the field's name.
    #[must_use]
    pub fn fault(&self, field: &'static str, problem: &str) -> Fault {
        let line = self.lines.get(field).copied().unwrap_or(self.line);
        Fault::new(&self.file, line, format!("`{field}` of the portal `{}` {problem}.", self.id))
    }
}
