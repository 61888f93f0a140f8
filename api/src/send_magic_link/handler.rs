//! Handles `POST /api/auth/send-magic-link`: checks the request, stores a job in the outbox and responds. A worker
//! mails the link.
//!
//! The IP rate limit (`ip_limit`) has already accepted the request, and its body has been read (`http::body`). The
//! response and its timing are the same whether or not the address has an account.

use std::{sync::Arc, time::Instant};

use outbox::{CallbackUrl, Email, Enqueued, JobId, NewJob, ShownHost};
use poem::{
    Request,
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{OpenApi, Tags};
use words::{Language, TimeZone, choose_language, choose_time_zone};

use super::{
    request::MagicLinkRequest,
    responses::{AcceptedResponse, SendMagicLinkErrors},
};
use crate::{
    admission::decide::AdmissionDecision,
    callback::{
        next::CallbackNext,
        portal::Portal,
        source,
        url::{self, CallbackTooLong},
    },
    http::{
        error::{ErrorCode, ErrorResponse},
        json_body::JsonBody,
        request_context::RequestContext,
        responses::EndpointError,
        retry_after::RetryAfter,
        single_header::single_header,
    },
    ip_limit::limiter::ClientNetwork,
    metrics,
    state::AppState,
};

#[derive(Tags)]
enum PortalTag {
    /// Endpoints for portals, called from the sign-in page or from the back end.
    #[oai(rename = "Sign-in")]
    SignIn,
}

/// The endpoint, for routing and for the OpenAPI document.
pub(crate) struct SendMagicLinkApi;

#[OpenApi(tag = "PortalTag::SignIn")]
impl SendMagicLinkApi {
    /// Send passwordless magic link
    ///
    /// Admin generateLink (magiclink) + Mailgun. IP rate limited. Callback URL from body callback_origin,
    /// X-AppHandoff-Callback-Origin, Origin, or Referer (allowlisted). Optional callback_next preserves a safe
    /// in-portal destination after the email link completes.
    ///
    /// Call it from the portal's sign-in page, or from its back end. A 200 means that the request is stored and its mail is
    /// about to be sent. The response is the same whether or not the address has an account. On a 400, show `fieldErrors`
    /// beside the fields. On a 429 or 503, count down from `retryAfter` and let the person try again.
    #[oai(path = "/auth/send-magic-link", method = "post", operation_id = "sendMagicLink")]
    async fn send_magic_link(
        &self,
        request: &Request,
        state: Data<&Arc<AppState>>,
        client: Data<&ClientNetwork>,
        context: Data<&RequestContext>,
        body: JsonBody<MagicLinkRequest>,
    ) -> Result<AcceptedResponse, EndpointError<SendMagicLinkErrors>> {
        let reader = Reader::of(&state, request.headers(), &body.0);
        let valid = validate(&state, request.headers(), body.0)?;
        if let AdmissionDecision::Reject { retry_after } = state.queue.decide() {
            return Err(ErrorResponse::unavailable_for(retry_after).into());
        }
        let job = NewJob {
            id: JobId::new(),
            recipient: valid.recipient,
            callback_url: valid.callback_url,
            shown_host: valid.shown_host,
            language: reader.language.tag(),
            time_zone: (reader.time_zone != TimeZone::UTC).then(|| reader.time_zone.name().to_owned()),
            portal: None,
            portal_quota: None,
            deadline: None,
            client: client.0.0.clone(),
            request_id: context.id.clone(),
            traceparent: context.traceparent.clone(),
        };
        let portal = job.portal.clone();
        match enqueue(&state, job).await? {
            Enqueued::Queued => {
                state.queue.note_accepted();
                Ok(AcceptedResponse { portal })
            }
            Enqueued::Duplicate | Enqueued::Suppressed => Ok(AcceptedResponse { portal }),
            Enqueued::Limited { retry_after } => Err(recipient_rate_limited(retry_after.into()).into()),
        }
    }
}

/// The language and the time zone of the person who reads the mail.
struct Reader {
    language: Language,
    time_zone: TimeZone,
}

impl Reader {
    /// Chooses from closed lists, so that no text from the request gets into the mail.
    fn of(state: &AppState, headers: &HeaderMap, body: &MagicLinkRequest) -> Self {
        let accepted = single_header(headers, &header::ACCEPT_LANGUAGE);
        Self {
            language: choose_language(body.locale.as_deref(), accepted, state.languages.as_slice()),
            time_zone: choose_time_zone(body.time_zone.as_deref()),
        }
    }
}

/// A request that passed all checks.
struct ValidRequest {
    recipient: Email,
    callback_url: CallbackUrl,
    shown_host: ShownHost,
}

/// Checks the fields together and builds the callback URL.
///
/// # Errors
/// 400 with every issue in the request. If all issues have the same code, the response has that code; otherwise it has
/// `invalid_request`.
fn validate(state: &AppState, headers: &HeaderMap, body: MagicLinkRequest) -> Result<ValidRequest, ErrorResponse> {
    let MagicLinkRequest { email, callback_origin, callback_next, mut issues, .. } = body;
    let mut codes = vec![ErrorCode::InvalidRequest; issues.len()];

    // If the field has the wrong type, it already has an issue. Trying the headers would add a second, misleading issue.
    let has_origin_issue = issues.iter().any(|issue| issue.path == "callback_origin");
    let mut portal = None;
    if !has_origin_issue {
        match source::resolve(&state.allowed_origins, callback_origin.as_deref(), headers) {
            Ok(resolved) => portal = Some(resolved),
            Err(error) => {
                state.refused_origins.note(callback_origin.as_deref(), headers);
                codes.push(error.code);
                issues.push(error.issue);
            }
        }
    }
    let mut next = None;
    if let Some(text) = callback_next.filter(|text| !text.is_empty()) {
        let origin = portal.as_ref().map(|portal| &portal.origin);
        match CallbackNext::parse(&text, origin, &state.callback_next_prefixes) {
            Ok(parsed) => next = Some(parsed),
            Err(error) => {
                codes.push(ErrorCode::CallbackNextUnsafe);
                issues.push(error.issue());
            }
        }
    }
    let callback = portal.and_then(|Portal { origin, shown_host }| {
        let url = url::build(&origin, &state.callback_path, next.as_ref());
        let url = url.map_err(|CallbackTooLong { code, issue }| (codes.push(code), issues.push(issue)));
        url.ok().map(|url| (url, shown_host))
    });
    match (email, callback) {
        (Some(recipient), Some((callback_url, shown_host))) if issues.is_empty() => {
            Ok(ValidRequest { recipient, callback_url, shown_host })
        }
        _ => {
            codes.dedup();
            let code = if let [only] = codes.as_slice() { *only } else { ErrorCode::InvalidRequest };
            Err(ErrorResponse::with_issues(code, issues))
        }
    }
}

/// 429: the recipient's quota is used up.
pub(crate) fn recipient_rate_limited(retry_after: RetryAfter) -> ErrorResponse {
    let message = "Too many links have been requested for this address. Check its inbox, or try again later.";
    ErrorResponse::rate_limited(ErrorCode::RecipientRateLimited, message, retry_after)
}

/// Stores the job. The job is committed when this returns `Ok`, and the commit continues if the caller disconnects.
async fn enqueue(state: &AppState, job: NewJob) -> Result<Enqueued, ErrorResponse> {
    let started = Instant::now();
    let result = state.requests.commit(job).await;
    metrics::observe_enqueue(started.elapsed());
    result.map_err(|error| {
        if error.is_outage() {
            state.queue.note_refused(&error);
            ErrorResponse::unavailable()
        } else {
            tracing::error!(%error, "the database refused a job");
            ErrorResponse::internal()
        }
    })
}
