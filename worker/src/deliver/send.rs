//! The mail goes out: no faster than allowed, only if it is still wanted, and with what is left of the link.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use outbox::{Attempt, Failure, Seal, SendDecision, Step, upstreams::Upstream};

use super::{backoff, context::Delivery, link::SignInLink, outcome::DeliveryOutcome, stopwatch::Stopwatch};
use crate::{
    mail::render::{self, MailContent},
    upstream::mailgun::Envelope,
};

impl Delivery<'_> {
    /// Waits for `MAILGUN_RATE`.
    pub(super) async fn turn_at_mailgun(&self, link: &SignInLink) -> Result<(), DeliveryOutcome> {
        let turn = self.unless_interrupted(self.worker.mailgun.wait_for_rate()).await;
        turn.map_err(|interrupted| DeliveryOutcome::handed_back(interrupted, link.attempt().cloned()))
    }

    /// Stores the link, and asks whether the job is still to be mailed: the last look before the mail goes out.
    pub(super) async fn clear_for_sending(&self, link: &SignInLink) -> Result<(), DeliveryOutcome> {
        let journal = link.attempt().map(|step| self.entry(step));
        let seal = Seal { lease: self.job.lease, link: link.new_link(), journal };
        let cleared = self
            .until_interrupted(|| self.worker.committers.seals.commit(seal.clone()))
            .await
            .map_err(|interrupted| DeliveryOutcome::handed_back(interrupted, link.attempt().cloned()))?
            .map_err(|error| DeliveryOutcome::Unrecorded(error.to_string()))?;
        match cleared {
            SendDecision::Send { .. } => Ok(()),
            // A probe is there to see whether the breaker may close; a pause holds for it too.
            SendDecision::Hold { pause } if self.probe && pause.is_zero() => Ok(()),
            SendDecision::Hold { pause } => {
                let why = Failure::new("mailgun_on_hold", "Mailgun asked for a pause, or needs an operator.");
                Err(DeliveryOutcome::Again { delay: pause, failure: Some(why), uncounted: true, attempt: None })
            }
            SendDecision::Taken => Err(DeliveryOutcome::Elsewhere("sent")),
            SendDecision::Superseded => Err(DeliveryOutcome::Elsewhere("superseded")),
            SendDecision::Expired => Err(DeliveryOutcome::Elsewhere("expired")),
            SendDecision::LeaseLost => Err(DeliveryOutcome::Elsewhere("lease_lost")),
        }
    }

    /// How long ago an earlier attempt may have sent the mail first; zero if none has tried.
    pub(super) fn since_first_send(&self) -> Duration {
        self.job.link.as_ref().map_or(Duration::ZERO, |link| link.age + self.claimed_at.elapsed())
    }

    /// Hands the mail to Mailgun. Whatever cuts this short leaves open whether it was taken.
    pub(super) async fn send(&self, link: &SignInLink) -> Result<Attempt, DeliveryOutcome> {
        let (job, worker) = (self.job, self.worker);
        let lifetime = worker.limits.link_lifetime;
        let age = link.age();
        let mail = render::render(&MailContent {
            link: &link.url,
            callback_url: &job.callback_url,
            requested_at: job.created_at,
            link_made_at: Utc::now() - TimeDelta::from_std(age).unwrap_or_default(),
            link_lifetime: lifetime,
        })
        .map_err(|error| DeliveryOutcome::Failed(Failure::new("mail_not_rendered", error.to_string()), None))?;
        let envelope = Envelope {
            job: job.lease.job,
            to: &job.recipient,
            message_id: &link.message_id,
            deliver_within: lifetime.saturating_sub(age),
        };
        // A send that is not begun leaves nothing open, and no trace.
        self.go_on().map_err(|interrupted| DeliveryOutcome::handed_back(interrupted, None))?;
        let watch = Stopwatch::start(Step::Send);
        match self.unless_interrupted(worker.mailgun.send(&envelope, mail)).await {
            Ok(Ok(())) => {
                let attempt = watch.ok(200);
                self.succeeded(Upstream::Mailgun).await;
                Ok(attempt)
            }
            Ok(Err(trouble)) => Err(self.in_trouble(Upstream::Mailgun, &trouble, watch.trouble(&trouble)).await),
            Err(interrupted) => Err(DeliveryOutcome::Again {
                delay: backoff::unknown(self.since_first_send()),
                failure: Some(interrupted.failure()),
                uncounted: false,
                attempt: Some(watch.interrupted(interrupted)),
            }),
        }
    }
}
