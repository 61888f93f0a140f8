//! Sends the mail: waits for the rate limit, checks that the mail is still wanted, and calls Mailgun.

use std::time::Duration;

use outbox::{Failure, Seal, SendDecision, Step, StepRecord, Upstream};

use super::{backoff, context::DeliveryRun, link::SignInLink, outcome::DeliveryOutcome};
use crate::{
    mail::render::{self, MailContent, RenderedMail},
    upstream::mailgun::Envelope,
};

impl DeliveryRun<'_> {
    /// Waits until `MAILGUN_RATE` allows one more mail.
    pub(super) async fn wait_for_mailgun_rate(&self, link: &SignInLink) -> Result<(), DeliveryOutcome> {
        let waited = self.unless_interrupted(self.worker.mailgun.wait_for_rate()).await;
        waited.map_err(|interruption| DeliveryOutcome::interrupted(interruption, link.step().cloned()))
    }

    /// Stores the link if it is new, and asks the outbox whether the mail may still be sent. This is the outbox's last
    /// check before the mail is sent.
    pub(super) async fn confirm_send(&self, link: &SignInLink) -> Result<(), DeliveryOutcome> {
        let seal = Seal { lease: self.job.lease, link: link.new_link(), step: link.step().cloned() };
        let decision = self
            .retry_until_interrupted(|| self.worker.committers.seals.commit(seal.clone()))
            .await
            .map_err(|interruption| DeliveryOutcome::interrupted(interruption, link.step().cloned()))?
            .map_err(|error| DeliveryOutcome::Unrecorded(error.to_string()))?;
        match decision {
            SendDecision::Send => Ok(()),
            // A probe passes an open breaker, because it tests whether the breaker can close. But even a probe must
            // respect a pause.
            SendDecision::Hold { pause } if self.is_probe && pause.is_zero() => Ok(()),
            SendDecision::Hold { pause } => {
                let reason = Failure::new("mailgun_on_hold", "Sending through Mailgun is paused or stopped.");
                Err(DeliveryOutcome::Requeue {
                    delay: pause,
                    failure: Some(reason),
                    is_uncounted: true,
                    suspected: None,
                    step: None,
                })
            }
            SendDecision::Paused => Err(DeliveryOutcome::Requeue {
                delay: Duration::ZERO,
                failure: Some(Failure::new("paused", "An operator has paused mail, Mailgun or this job's portal.")),
                is_uncounted: true,
                suspected: None,
                step: None,
            }),
            SendDecision::AlreadySent => Err(DeliveryOutcome::DecidedByOutbox("sent")),
            SendDecision::Superseded => Err(DeliveryOutcome::DecidedByOutbox("superseded")),
            SendDecision::Expired => Err(DeliveryOutcome::DecidedByOutbox("expired")),
            SendDecision::Cancelled => Err(DeliveryOutcome::DecidedByOutbox("cancelled")),
            SendDecision::LeaseLost => Err(DeliveryOutcome::DecidedByOutbox("lease_lost")),
        }
    }

    fn render(&self, link: &SignInLink) -> Result<RenderedMail, Failure> {
        let content = MailContent {
            link: &link.mailed,
            host: self.shown_host(),
            requested_at: self.job.requested_at,
            language: self.language(&link.look),
            time_zone: self.time_zone(),
        };
        render::render(&link.look, &content).map_err(|error| Failure::new("mail_not_rendered", error.to_string()))
    }

    /// Renders the mail and sends it through Mailgun. If the call is interrupted, Mailgun may already have accepted the
    /// mail.
    pub(super) async fn send(&self, link: &SignInLink) -> Result<StepRecord, DeliveryOutcome> {
        let (job, worker) = (self.job, self.worker);
        let mail = self.render(link).map_err(|failure| DeliveryOutcome::Failed(failure, None))?;
        let envelope = Envelope {
            job: Some(job.lease.job),
            from: link.look.brand.from.as_deref(),
            reply_to: link.look.brand.reply_to.as_deref(),
            to: &job.recipient,
            message_id: &link.message_id,
            deliver_within: link.mailed.lifetime.saturating_sub(link.age()),
        };
        // Check before the stopwatch starts: a call that is never made must not be recorded as a step.
        self.ensure_not_interrupted().map_err(|interruption| DeliveryOutcome::interrupted(interruption, None))?;
        let stopwatch = self.start_step(Step::Send);
        match self.unless_interrupted(worker.mailgun.send(&envelope, mail)).await {
            Ok(Ok(_)) => {
                let step = stopwatch.ok(200);
                self.record_success(Upstream::Mailgun, stopwatch.started).await;
                Ok(step)
            }
            Ok(Err(failure)) => Err(self
                .handle_failure(Upstream::Mailgun, &failure, stopwatch.started, stopwatch.failed(&failure))
                .await),
            Err(interruption) => Err(DeliveryOutcome::retry(
                backoff::unknown(self.since_first_send()),
                interruption.failure(),
                stopwatch.interrupted(interruption),
            )),
        }
    }
}
