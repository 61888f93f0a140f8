//! One portal, as the api serves it.

use std::{sync::Arc, time::Duration};

use outbox::Quotas;
use portals::{AllowedOrigins, NextPrefixes, PortalId};
use words::TimeZone;

use crate::settings::OfferedLanguages;

/// A portal of `PORTALS_FILE`, with defaults from the environment, or the only portal, which the environment describes.
#[derive(Debug, Clone)]
pub(crate) struct Portal {
    /// `None` for the portal that the environment describes.
    pub(crate) id: Option<PortalId>,
    pub(crate) origins: AllowedOrigins,
    /// Path of the callback page.
    pub(crate) callback_path: String,
    /// `callback_next` must be under one of these paths.
    pub(crate) next_prefixes: NextPrefixes,
    pub(crate) languages: OfferedLanguages,
    /// Time zone of people whose requests name none.
    pub(crate) time_zone: TimeZone,
    /// Time after which a job of this portal expires. `None` for `JOB_DEADLINE`.
    pub(crate) deadline: Option<Duration>,
    /// A quota per recipient for requests through this portal, in addition to the one that holds across portals.
    pub(crate) recipient_quota: Option<Arc<Quotas>>,
}
