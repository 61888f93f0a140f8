//! `POST /api/webhooks/mailgun`: what Mailgun reports about a mail is checked, and told on its job.
//!
//! Mailgun signs a timestamp and a token, and not the event: so a token is remembered, and one that comes with
//! another event is refused. A refusal that trying again could never mend is 406, which Mailgun takes for the end; it
//! sends again for some hours what is answered otherwise.

mod answers;
mod event;
mod payload;
mod signature;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use outbox::{JobId, Report, Reported};
use poem::web::Data;
use poem_openapi::{OpenApi, Tags};

use crate::{
    answers::Refused,
    door::Door,
    envelope::{ErrorCode, Refusal},
    metrics,
};
use answers::{OfWebhooks, Taken};
use event::{Event, Malformed};
use payload::Webhook;

/// A clock of Mailgun's may be so much ahead of ours.
const AHEAD: Duration = Duration::from_mins(5);

/// Why a webhook is refused where no signing key is set.
const NO_KEY: &str = "no_key";

#[derive(Tags)]
enum Tag {
    /// What Mailgun calls. Not for portals.
    Webhooks,
}

/// The operations that the document describes.
pub(crate) struct Webhooks;

#[OpenApi(tag = "Tag::Webhooks")]
impl Webhooks {
    /// Take an event of Mailgun
    ///
    /// For Mailgun's webhooks of the types `accepted`, `delivered`, `permanent_fail`, `temporary_fail` and
    /// `complained`. Others are answered 200 and ignored. The same event again is answered 200 and changes nothing.
    #[oai(path = "/webhooks/mailgun", method = "post", operation_id = "receiveMailgunEvent")]
    async fn receive(&self, door: Data<&Arc<Door>>, webhook: Webhook) -> Result<Taken, Refused<OfWebhooks>> {
        match take(&door, webhook).await {
            Ok(told) => {
                let job_id = told.job.map(tracing::field::display);
                tracing::info!(event = told.event, outcome = told.outcome, job_id, "webhook");
                metrics::count_webhook(told.event, told.outcome);
                Ok(Taken)
            }
            Err((why, refusal)) => {
                // Nothing to look at where no webhooks are wanted.
                if why == NO_KEY {
                    tracing::debug!(why, "webhook refused");
                } else {
                    tracing::warn!(why, "webhook refused");
                }
                metrics::count_webhook("none", why);
                Err(refusal.into())
            }
        }
    }
}

/// An event that was taken, for the log and the metrics.
struct Told {
    event: &'static str,
    outcome: &'static str,
    job: Option<JobId>,
}

/// What was taken; or why it was refused, for the log and for the caller.
async fn take(door: &Door, webhook: Webhook) -> Result<Told, (&'static str, Refusal)> {
    let settings = &door.webhooks;
    if settings.signing_keys.is_empty() {
        return Err((NO_KEY, Refusal::new(ErrorCode::NotFound, "There is nothing at this address.")));
    }
    let signed = webhook.verify(&settings.signing_keys).ok_or_else(|| {
        let words = "The signature is not by the key of MAILGUN_WEBHOOK_SIGNING_KEY.";
        ("bad_signature", Refusal::new(ErrorCode::InvalidSignature, words))
    })?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if signed.timestamp + settings.max_age < now {
        return Err(("too_old", refused("The webhook was signed too long ago (WEBHOOK_MAX_AGE).")));
    }
    if signed.timestamp > now + AHEAD {
        return Err(("from_the_future", refused("The webhook's timestamp lies in the future.")));
    }
    let event = match event::read(&webhook.event, now + AHEAD, settings.domain.as_deref()) {
        Ok(Event::Delivery(event)) => event,
        Ok(Event::Other) => return Ok(Told { event: "other", outcome: "ignored", job: None }),
        Err(Malformed(why)) => return Err((why, refused("The event is not one of this service's mails."))),
    };
    let report = Report { token: &signed.token, digest: webhook.digest() };
    let told = |outcome| Ok(Told { event: event.event, outcome, job: event.job });
    match outbox::report(&door.pool, report, &event).await {
        Ok(Reported::Recorded) => told("recorded"),
        Ok(Reported::Known) => told("known"),
        Ok(Reported::Unmatched) => told("unmatched"),
        Ok(Reported::TokenReused) => Err(("token_reused", refused("The token came with another event before."))),
        Err(error) if error.is_outage() => {
            tracing::warn!(%error, "the database took no event");
            Err(("database", Refusal::unavailable()))
        }
        Err(error) => {
            tracing::error!(%error, "the database refused an event");
            Err(("database", Refusal::internal()))
        }
    }
}

fn refused(words: &'static str) -> Refusal {
    Refusal::new(ErrorCode::EventRefused, words)
}
