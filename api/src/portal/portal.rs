//! One portal, as the api serves it.

use std::{sync::Arc, time::Duration};

use outbox::Quotas;
use portals::{AllowedOrigins, NextPrefixes, PortalId};
use words::TimeZone;

use crate::settings::OfferedLanguages;

/// Either a portal from `PORTALS_FILE`, with defaults from the environment, or the only portal, which the environment
/// describes.
#[derive(Debug, Clone)]
pub(crate) struct Portal {
    /// `None` if the environment describes the portal.
    pub(crate) id: Option<PortalId>,
    pub(crate) origins: AllowedOrigins,
    /// Path of the callback page.
    pub(crate) callback_path: String,
    /// If there are any prefixes, `callback_next` must be under one of them.
    pub(crate) next_prefixes: NextPrefixes,
    pub(crate) languages: OfferedLanguages,
    /// Time zone for mails whose requests do not specify a known time zone.
    pub(crate) time_zone: TimeZone,
    /// Time after which a job of this portal expires. `None` means `JOB_DEADLINE`.
    pub(crate) deadline: Option<Duration>,
    /// A quota per recipient for requests through this portal, in addition to the quota that applies across portals.
    pub(crate) recipient_quota: Option<Arc<Quotas>>,
}
