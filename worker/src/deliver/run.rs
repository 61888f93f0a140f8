//! One delivery, from the top: get a link, wait for a turn at Mailgun, check that the job is still wanted, send the mail,
//! and record the result.
//!
//! Each step either goes on or returns how the delivery ends; `record` writes that end down, whatever it is.

use outbox::Attempt;
use tracing::Instrument as _;

use super::{context::Delivery, outcome::DeliveryOutcome};

impl Delivery<'_> {
    /// Delivers the job, and writes down what came of it.
    pub(crate) async fn run(&self) {
        let job = self.job;
        let span = tracing::info_span!(
            "job",
            job_id = %job.lease.job,
            request_id = %job.request_id,
            traceparent = job.traceparent.as_deref(),
            attempt = job.attempt,
        );
        async {
            let ending = match self.deliver().await {
                Ok(sent) => DeliveryOutcome::Sent(sent),
                Err(ending) => ending,
            };
            self.record(ending).await;
        }
        .instrument(span)
        .await;
    }

    /// `Ok` is the step that handed the mail to Mailgun; `Err` is every other end.
    async fn deliver(&self) -> Result<Attempt, DeliveryOutcome> {
        let link = match self.link_of_an_earlier_attempt() {
            Ok(link) => link,
            Err(unusable) => self.make_link(unusable).await?,
        };
        self.turn_at_mailgun(&link).await?;
        self.clear_for_sending(&link).await?;
        self.send(&link).await
    }
}
