//! Finds the portal that a job belongs to.

use std::time::Duration;

use outbox::Failure;

use super::{context::DeliveryRun, outcome::DeliveryOutcome};
use crate::settings::MailPortal;

/// The wait before the next attempt to deliver a job whose portal is not in this worker's `PORTALS_FILE`. After this
/// wait, any worker can claim the job, including this one, which may have reloaded the file.
const UNKNOWN_PORTAL_DELAY: Duration = Duration::from_secs(5);

impl DeliveryRun<'_> {
    /// The job's portal, or the default portal if the job's portal is not in this worker's `PORTALS_FILE`.
    pub(super) fn portal(&self) -> &MailPortal {
        let portal = self.portals.find(self.job.portal.as_deref());
        portal.unwrap_or_else(|| self.portals.default_portal())
    }

    /// Returns the outcome of the delivery if the job's portal is not in this worker's `PORTALS_FILE`. The outcome is a
    /// requeue that does not count as an attempt, because the portal may be in another worker's file, or in this
    /// worker's file after a reload.
    pub(super) fn unknown_portal(&self) -> Option<DeliveryOutcome> {
        let id = self.job.portal.as_deref().filter(|id| self.portals.find(Some(id)).is_none())?;
        let message = format!(
            "This worker's PORTALS_FILE has no portal `{id}`: give all workers the same file as the api, and send them \
             SIGHUP."
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
