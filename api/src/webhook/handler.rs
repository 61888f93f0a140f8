//! Handles `POST /api/webhooks/mailgun`: checks an event from Mailgun and records it on its job.
//!
//! Mailgun signs a timestamp and a token, but not the event. Each token is therefore stored with a digest of its event,
//! and an event with the token of a different event is rejected. Mailgun retries a webhook for up to 8 hours unless the
//! response is 200 or 406, so an event that can never be accepted gets a 406.

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
    request::MailgunWebhook,
    responses::{EventTakenResponse, WebhookErrors},
    signature::VerifiedSignature,
};
use crate::{
    http::{
        error::{ErrorCode, ErrorResponse},
        json_body::JsonBody,
        responses::EndpointError,
    },
    metrics,
    settings::WebhookSettings,
    state::AppState,
};

/// How far Mailgun's clock may be ahead of ours.
const MAX_CLOCK_SKEW: Duration = Duration::from_mins(5);

/// The reason for rejecting webhooks while no signing key is set.
const NO_SIGNING_KEY: &str = "no_key";

#[derive(Tags)]
enum WebhookTag {
    /// Endpoints for Mailgun. Portals do not call them.
    Webhooks,
}

/// The endpoint, for routing and for the OpenAPI document.
pub(crate) struct WebhookApi;

#[OpenApi(tag = "WebhookTag::Webhooks")]
impl WebhookApi {
    /// Receive a Mailgun event
    ///
    /// For Mailgun's webhooks of the types `accepted`, `delivered`, `permanent_fail`, `temporary_fail` and
    /// `complained`. Other types get a 200 and are ignored. A repeated event gets a 200 and changes nothing.
    #[oai(path = "/webhooks/mailgun", method = "post", operation_id = "receiveMailgunEvent")]
    async fn receive_mailgun_event(
        &self,
        state: Data<&Arc<AppState>>,
        body: JsonBody<MailgunWebhook>,
    ) -> Result<EventTakenResponse, EndpointError<WebhookErrors>> {
        match process(&state, body.0).await {
            Ok(ProcessedWebhook { event, outcome, job }) => {
                // Log at debug level, because every mail causes about three events and the tables contain all events.
                let job_id = job.map(tracing::field::display);
                tracing::debug!(event, outcome, job_id, "webhook event processed");
                state.webhook_log.count_event(outcome);
                metrics::count_webhook(event, outcome);
                Ok(EventTakenResponse)
            }
            Err(RejectedWebhook { reason, response }) => {
                // If no signing key is set, the operator does not expect webhooks, so a rejected webhook needs no
                // warning.
                if reason == NO_SIGNING_KEY {
                    tracing::debug!(reason, "webhook refused");
                } else {
                    state.webhook_log.count_refused(reason);
                }
                metrics::count_webhook("none", reason);
                Err(response.into())
            }
        }
    }
}

/// An accepted event, for the log and the metrics.
struct ProcessedWebhook {
    event: &'static str,
    outcome: &'static str,
    job: Option<JobId>,
}

/// A webhook that was not accepted.
struct RejectedWebhook {
    /// The value of the `reason` field in the log and of the `outcome` label in the metrics.
    reason: &'static str,
    response: ErrorResponse,
}

impl RejectedWebhook {
    fn new(reason: &'static str, response: ErrorResponse) -> Self {
        Self { reason, response }
    }
}

/// Checks a webhook and records its event. An event that is already recorded changes nothing.
async fn process(state: &AppState, webhook: MailgunWebhook) -> Result<ProcessedWebhook, RejectedWebhook> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let signature = verify_signature(&webhook, &state.webhooks, now)?;
    let latest = now + MAX_CLOCK_SKEW;
    let event = match MailgunEvent::read(&webhook.event, latest, state.webhooks.domain.as_deref()) {
        Ok(MailgunEvent::Delivery(event)) => event,
        Ok(MailgunEvent::Other) => return Ok(ProcessedWebhook { event: "other", outcome: "ignored", job: None }),
        Err(Malformed(reason)) => {
            let message = "The event is malformed, from the future, or not about a mail that this service sent.";
            let response = event_refused(message);
            return Err(RejectedWebhook::new(reason, response));
        }
    };
    if !state.queue.has_own_sessions() {
        return Err(RejectedWebhook::new("database", ErrorResponse::unavailable()));
    }
    let signed = Some(SignedToken { token: signature.token, digest: webhook.digest() });
    match state.reports.commit(Report { event: (*event).clone(), signed }).await {
        Ok(ReportOutcome { status: ReportStatus::TokenReused, .. }) => {
            Err(RejectedWebhook::new("token_reused", token_reused()))
        }
        Ok(recorded) => {
            count_outcome(&event, recorded);
            Ok(ProcessedWebhook { event: event.event, outcome: recorded.status.as_str(), job: event.job })
        }
        Err(error) if error.is_outage() => {
            state.queue.note_refused(&error);
            Err(RejectedWebhook::new("database", ErrorResponse::unavailable()))
        }
        Err(error) => {
            tracing::error!(%error, "the database rejected a webhook event");
            Err(RejectedWebhook::new("database", ErrorResponse::internal()))
        }
    }
}

/// Verifies the signature and its age. `now` is the time since the Unix epoch.
fn verify_signature(
    webhook: &MailgunWebhook,
    settings: &WebhookSettings,
    now: Duration,
) -> Result<VerifiedSignature, RejectedWebhook> {
    if settings.signing_keys.is_empty() {
        return Err(RejectedWebhook::new(NO_SIGNING_KEY, ErrorResponse::not_found()));
    }
    let signature = webhook
        .verify(&settings.signing_keys)
        .ok_or_else(|| RejectedWebhook::new("bad_signature", invalid_signature()))?;
    if signature.timestamp + settings.max_age < now {
        let response = event_refused("The webhook was signed longer ago than WEBHOOK_MAX_AGE allows.");
        return Err(RejectedWebhook::new("too_old", response));
    }
    if signature.timestamp > now + MAX_CLOCK_SKEW {
        let response = event_refused("The webhook's timestamp is in the future.");
        return Err(RejectedWebhook::new("from_the_future", response));
    }
    Ok(signature)
}

/// Counts the change of delivery state and the suppression that the event caused, if any. Warns if suppressions for a
/// domain are held back.
fn count_outcome(event: &DeliveryEvent, recorded: ReportOutcome) {
    if let Some(delivery) = recorded.moved_to {
        metrics::count_delivery(delivery);
    }
    if let (Some(reason), Some(outcome)) = (event.suppression, recorded.suppression) {
        metrics::count_suppression(reason, outcome);
        if outcome == SuppressionOutcome::HeldBack {
            let domain = event.recipient.rsplit('@').next();
            tracing::warn!(
                domain,
                "too many addresses at one domain were reported within a short time; not suppressing them"
            );
        }
    }
}

/// 401.
pub(crate) fn invalid_signature() -> ErrorResponse {
    ErrorResponse::new(
        ErrorCode::InvalidSignature,
        "The signature was not made with any key in MAILGUN_WEBHOOK_SIGNING_KEY.",
    )
}

/// 406: the token was already used for another event. The OpenAPI document shows this response as its example of a 406.
pub(crate) fn token_reused() -> ErrorResponse {
    event_refused("The token was already used for another event.")
}

/// A 406, after which Mailgun does not send the event again.
fn event_refused(message: &'static str) -> ErrorResponse {
    ErrorResponse::new(ErrorCode::EventRefused, message)
}
