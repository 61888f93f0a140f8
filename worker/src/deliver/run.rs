//! Runs one delivery: gets a link, waits for `MAILGUN_RATE`, checks that the mail is still wanted, sends the mail, and
//! records the result.
//!
//! Each step either succeeds or returns the outcome of the delivery. `record` writes the outcome to the outbox, unless
//! the outbox itself has decided the outcome or refused a write.

use outbox::StepRecord;
use tracing::Instrument as _;

use super::{context::DeliveryRun, outcome::DeliveryOutcome};

impl DeliveryRun<'_> {
    /// Delivers the job and records the outcome.
    pub(crate) async fn run(&self) {
        let job = self.job;
        let span = tracing::info_span!(
            "job",
            job_id = %job.lease.job,
            request_id = %job.request_id,
            traceparent = job.traceparent.as_deref(),
            portal = job.portal.as_deref(),
            attempt = job.attempt,
        );
        async {
            let outcome = match self.deliver().await {
                Ok(step) => DeliveryOutcome::Sent(step),
                Err(outcome) => outcome,
            };
            self.record(outcome).await;
        }
        .instrument(span)
        .await;
    }

    /// Returns the step in which Mailgun accepted the mail, or any other outcome as `Err`.
    async fn deliver(&self) -> Result<StepRecord, DeliveryOutcome> {
        if let Some(outcome) = self.unknown_portal() {
            return Err(outcome);
        }
        let link = match self.open_stored_link() {
            Ok(link) => link,
            Err(unusable) => self.create_link(unusable).await?,
        };
        self.wait_for_mailgun_rate(&link).await?;
        self.confirm_send(&link).await?;
        self.send(&link).await
    }
}
