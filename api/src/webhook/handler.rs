//! `POST /api/webhooks/mailgun`: what Mailgun reports about a mail is checked, and told on its job.
//!
//! Mailgun signs a timestamp and a token, and not the event: so a token is remembered, and one that comes with
//! another event is refused. A refusal that trying again could never mend is 406, which Mailgun takes for the end; it
//! sends again for some hours what is answered otherwise.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use outbox::{
    DeliveryEvent, JobId, MailgunEvent, Malformed, Report, ReportOutcome, ReportStatus, SignedToken, SuppressionOutcome,
};
use poem::web::Data;
use poem_openapi::{OpenApi, Tags};

use super::{
    request::Webhook,
    responses::{EventTakenResponse, WebhookErrors},
};
use crate::{
    http::{
        error::{ErrorCode, ErrorResponse},
        responses::EndpointError,
    },
    metrics,
    state::AppState,
};

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
    async fn receive(
        &self,
        door: Data<&Arc<AppState>>,
        webhook: Webhook,
    ) -> Result<EventTakenResponse, EndpointError<WebhookErrors>> {
        match take(&door, webhook).await {
            Ok(done) => {
                let job_id = done.job.map(tracing::field::display);
                // The tables tell the rest: a line for each would be three per mail.
                match done.outcome {
                    "unmatched" => tracing::info!(event = done.event, job_id, "a webhook fits no job"),
                    outcome => tracing::debug!(event = done.event, outcome, job_id, "webhook"),
                }
                metrics::count_webhook(done.event, done.outcome);
                Ok(EventTakenResponse)
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
struct WebhookResult {
    event: &'static str,
    outcome: &'static str,
    job: Option<JobId>,
}

/// What was taken; or why it was refused, for the log and for the caller.
async fn take(door: &AppState, webhook: Webhook) -> Result<WebhookResult, (&'static str, ErrorResponse)> {
    let settings = &door.webhooks;
    if settings.signing_keys.is_empty() {
        return Err((NO_KEY, ErrorResponse::not_found()));
    }
    let signed = webhook.verify(&settings.signing_keys).ok_or_else(|| ("bad_signature", badly_signed()))?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if signed.timestamp + settings.max_age < now {
        return Err(("too_old", refused("The webhook was signed too long ago (WEBHOOK_MAX_AGE).")));
    }
    if signed.timestamp > now + AHEAD {
        return Err(("from_the_future", refused("The webhook's timestamp lies in the future.")));
    }
    let event = match MailgunEvent::read(&webhook.event, now + AHEAD, settings.domain.as_deref()) {
        Ok(MailgunEvent::Delivery(event)) => event,
        Ok(MailgunEvent::Other) => return Ok(WebhookResult { event: "other", outcome: "ignored", job: None }),
        Err(Malformed(why)) => return Err((why, refused("The event is not one of this service's mails."))),
    };
    let signed = Some(SignedToken { token: signed.token, digest: webhook.digest() });
    match door.reports.commit(Report { event: (*event).clone(), signed }).await {
        Ok(ReportOutcome { outcome: ReportStatus::TokenReused, .. }) => Err(("token_reused", token_reused())),
        Ok(told) => {
            tell(&event, told);
            Ok(WebhookResult { event: event.event, outcome: told.outcome.as_str(), job: event.job })
        }
        Err(error) if error.is_outage() => {
            tracing::warn!(%error, "the database took no event");
            Err(("database", ErrorResponse::unavailable()))
        }
        Err(error) => {
            tracing::error!(%error, "the database refused an event");
            Err(("database", ErrorResponse::internal()))
        }
    }
}

/// What came of an event, for those who watch.
fn tell(event: &DeliveryEvent, told: ReportOutcome) {
    if let Some(delivery) = told.moved_to {
        metrics::count_delivery(delivery);
    }
    if let (Some(reason), Some(suppressed)) = (event.suppression, told.suppressed) {
        metrics::count_suppression(reason, suppressed);
        if suppressed == SuppressionOutcome::HeldBack {
            let domain = event.recipient.rsplit('@').next();
            tracing::warn!(domain, "too many addresses of a domain bounce at once: none of them is suppressed");
        }
    }
}

/// 401.
pub(crate) fn badly_signed() -> ErrorResponse {
    ErrorResponse::new(ErrorCode::InvalidSignature, "The signature is not by the key of MAILGUN_WEBHOOK_SIGNING_KEY.")
}

/// 406, as an example of the others.
pub(crate) fn token_reused() -> ErrorResponse {
    refused("The token came with another event before.")
}

fn refused(words: &'static str) -> ErrorResponse {
    ErrorResponse::new(ErrorCode::EventRefused, words)
}
