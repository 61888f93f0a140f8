//! The portal in whose name the mail is sent.

use std::time::Duration;

use outbox::Failure;

use super::{context::DeliveryRun, outcome::DeliveryOutcome};
use crate::settings::MailPortal;

/// Time until a job whose portal this worker does not know is tried again. By then, another worker may have claimed the
/// job, or this worker may have reloaded `PORTALS_FILE`.
const UNKNOWN_PORTAL_DELAY: Duration = Duration::from_secs(5);

impl DeliveryRun<'_> {
    /// The job's portal. The default portal if this worker does not know the job's portal.
    pub(super) fn portal(&self) -> &MailPortal {
        let portal = self.portals.find(self.job.portal.as_deref());
        portal.unwrap_or_else(|| self.portals.default_portal())
    }

    /// The outcome of the delivery if this worker does not know the job's portal: the job is put back. The attempt does not
    /// count, because another worker, or this one after a reload, can send the mail.
    pub(super) fn unknown_portal(&self) -> Option<DeliveryOutcome> {
        let id = self.job.portal.as_deref().filter(|id| self.portals.find(Some(id)).is_none())?;
        let message = format!(
            "This worker's PORTALS_FILE has no portal `{id}`: give all workers the same file as the api, and send them SIGHUP."
        );
        Some(DeliveryOutcome::Requeue {
            delay: UNKNOWN_PORTAL_DELAY,
            failure: Some(Failure::new("portal_unknown", message)),
            is_uncounted: true,
            suspected: None,
            step: None,
        })
    }
}
