//! `POST /api/auth/send-magic-link`: check the request, put a job into the outbox, answer. A worker mails the link.
//!
//! By the time that a request is here the IP limit has let it through (`ip_limit`) and its body has been read
//! (`body`). The answer is the same, in the same time, whether or not the address has an account.

use std::{sync::Arc, time::Instant};

use outbox::{Email, Enqueued, JobId, NewJob};
use poem::{Request, web::Data};
use poem_openapi::{OpenApi, Tags};

use super::request::MagicLinkRequest;
use crate::{
    admission::decide::AdmissionDecision,
    callback::{next::CallbackNext, source},
    http::{
        error::{ErrorCode, ErrorResponse},
        request_id::RequestContext,
        responses::{AcceptedResponse, EndpointError, SendMagicLinkErrors},
        retry_after::RetryAfter,
    },
    ip_limit::limiter::ClientNetwork,
    metrics,
    state::AppState,
};

#[derive(Tags)]
enum Tag {
    /// What a portal calls, from its page or its back end.
    #[oai(rename = "Sign-in")]
    SignIn,
}

/// The operations that the document describes.
pub(crate) struct Api;

#[OpenApi(tag = "Tag::SignIn")]
impl Api {
    /// Send passwordless magic link
    ///
    /// Admin generateLink (magiclink) + Mailgun. IP rate limited. Callback URL from body callback_origin,
    /// X-AppHandoff-Callback-Origin, Origin, or Referer (allowlisted). Optional callback_next preserves a safe
    /// in-portal destination after the email link completes.
    #[oai(path = "/auth/send-magic-link", method = "post", operation_id = "sendMagicLink")]
    async fn send_magic_link(
        &self,
        request: &Request,
        door: Data<&Arc<AppState>>,
        client: Data<&ClientNetwork>,
        name: Data<&RequestContext>,
        body: MagicLinkRequest,
    ) -> Result<AcceptedResponse, EndpointError<SendMagicLinkErrors>> {
        let wanted = resolve(&door, request, body)?;
        if let AdmissionDecision::None(wait) = door.queue.room() {
            return Err(ErrorResponse::unavailable_for(wait).into());
        }
        let job = NewJob {
            id: JobId::new(),
            recipient: wanted.recipient,
            callback_url: wanted.callback_url,
            client: client.0.0.clone(),
            request_id: name.id.clone(),
            traceparent: name.traceparent.clone(),
        };
        match enqueue(&door, job).await? {
            Enqueued::Queued => {
                door.queue.note_accepted();
                Ok(AcceptedResponse)
            }
            Enqueued::Duplicate | Enqueued::Suppressed => Ok(AcceptedResponse),
            Enqueued::Limited { retry_after } => Err(limited(retry_after.into()).into()),
        }
    }
}

/// A request that passed the checks.
struct ValidRequest {
    recipient: Email,
    callback_url: String,
}

/// Whom to mail and where the link leads, or all that is wrong with the request.
///
/// The code is a callback's own where that is the only kind of problem; where problems are of several kinds it is
/// `invalid_request`, and the issues tell them apart.
fn resolve(door: &AppState, request: &Request, body: MagicLinkRequest) -> Result<ValidRequest, ErrorResponse> {
    let MagicLinkRequest { email, callback_origin, callback_next, mut issues } = body;
    let mut codes = vec![ErrorCode::InvalidRequest; issues.len()];

    // A field of the wrong type has its issue; asking for the next source would add a second, misleading one.
    let origin_is_unreadable = issues.iter().any(|issue| issue.path == "callback_origin");
    let mut origin = None;
    if !origin_is_unreadable {
        match source::resolve(&door.allowed_origins, callback_origin.as_deref(), request.headers()) {
            Ok(found) => origin = Some(found),
            Err(none) => {
                codes.push(none.code);
                issues.push(none.issue);
            }
        }
    }
    let mut next = None;
    if let Some(text) = callback_next.filter(|text| !text.is_empty()) {
        match CallbackNext::parse(&text, origin.as_ref(), &door.callback_next_prefixes) {
            Ok(place) => next = Some(place),
            Err(error) => {
                codes.push(ErrorCode::CallbackNextUnsafe);
                issues.push(error.issue());
            }
        }
    }
    match (email, origin) {
        (Some(recipient), Some(origin)) if issues.is_empty() => {
            let query = next.map(|next| format!("?next={}", next.encoded())).unwrap_or_default();
            let callback_url = format!("{}{}{query}", origin.as_str(), door.callback_path);
            Ok(ValidRequest { recipient, callback_url })
        }
        _ => {
            codes.dedup();
            let code = if let [only] = codes.as_slice() { *only } else { ErrorCode::InvalidRequest };
            Err(ErrorResponse::invalid(code, issues))
        }
    }
}

/// 429.
pub(crate) fn limited(wait: RetryAfter) -> ErrorResponse {
    let message = "Too many links were asked for this address. Look into its inbox, or try again later.";
    ErrorResponse::limited(ErrorCode::RecipientRateLimited, message, wait)
}

/// Puts the job into the outbox; it is committed when this returns. A caller who hangs up does not stop the commit.
async fn enqueue(door: &AppState, job: NewJob) -> Result<Enqueued, ErrorResponse> {
    let begun = Instant::now();
    let outcome = door.requests.commit(job).await;
    metrics::time_enqueue(begun.elapsed());
    outcome.map_err(|error| {
        if error.is_outage() {
            tracing::warn!(%error, "the database took no job");
            ErrorResponse::unavailable()
        } else {
            tracing::error!(%error, "the database refused a job");
            ErrorResponse::internal()
        }
    })
}
