//! Handles `POST /api/auth/send-magic-link`: checks the request, stores a job in the outbox and responds. A worker
//! mails the link.
//!
//! The IP rate limit (`ip_limit`) has already accepted the request, and its body has been read (`http::body`). The
//! response and its timing are the same whether or not the address has an account.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use callers::ClientNetwork;
use outbox::{CallbackUrl, Email, Enqueued, JobId, NewJob, ShownHost};
use poem::{
    Request,
    http::{HeaderMap, header},
    web::Data,
};
use poem_openapi::{OpenApi, Tags};
use portals::{NextPrefixes, PortalId, PortalOrigin};
use words::{Language, TimeZone, choose_language, choose_time_zone};

use super::{
    request::MagicLinkRequest,
    responses::{AcceptedResponse, SendMagicLinkErrors},
};
use crate::{
    admission::decide::AdmissionDecision,
    callback::{
        next::CallbackNext,
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
    metrics,
    portal::{FoundPortal, Portal},
    state::AppState,
};

/// `Retry-After` while no worker has loaded the portal yet.
const PORTAL_RETRY_AFTER: Duration = Duration::from_secs(5);

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
    /// Call it from the portal's sign-in page, or from its back end. A 200 means that the request is stored and its
    /// mail is about to be sent. The response is the same whether or not the address has an account. On a 400, show
    /// `fieldErrors` beside the fields. On a 429 or 503, count down from `retryAfter` and let the person try again.
    #[oai(path = "/auth/send-magic-link", method = "post", operation_id = "sendMagicLink")]
    async fn send_magic_link(
        &self,
        request: &Request,
        state: Data<&Arc<AppState>>,
        client: Data<&ClientNetwork>,
        context: Data<&RequestContext>,
        body: JsonBody<MagicLinkRequest>,
    ) -> Result<AcceptedResponse, EndpointError<SendMagicLinkErrors>> {
        let (locale, time_zone) = (body.0.locale.clone(), body.0.time_zone.clone());
        let valid = validate(&state, request.headers(), body.0)?;
        let portal = &valid.portal;
        if portal.id.as_ref().is_some_and(|id| state.portal_readiness.is_waiting(id.as_str())) {
            state.report_wanted.notify_one();
            return Err(ErrorResponse::unavailable_for(PORTAL_RETRY_AFTER).into());
        }
        let reader = Reader::of(portal, request.headers(), locale.as_deref(), time_zone.as_deref());
        let deadline = portal.deadline.unwrap_or_else(|| state.queue.job_deadline());
        if let AdmissionDecision::Reject { retry_after } =
            state.queue.decide_for(portal.id.as_ref().map(PortalId::as_str), deadline)
        {
            return Err(ErrorResponse::unavailable_for(retry_after).into());
        }
        let job = NewJob {
            id: JobId::new(),
            recipient: valid.recipient,
            callback_url: valid.callback_url,
            shown_host: valid.shown_host,
            language: reader.language.tag(),
            time_zone: (reader.time_zone != TimeZone::UTC).then(|| reader.time_zone.name().to_owned()),
            portal: portal.id.as_ref().map(PortalId::to_string),
            portal_quota: portal.recipient_quota.clone(),
            deadline: portal.deadline,
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
    /// Chooses the language and the time zone from closed lists, so that neither adds the request's text to the mail.
    fn of(portal: &Portal, headers: &HeaderMap, locale: Option<&str>, time_zone: Option<&str>) -> Self {
        let accepted = single_header(headers, &header::ACCEPT_LANGUAGE);
        Self {
            language: choose_language(locale, accepted, portal.languages.as_slice()),
            time_zone: choose_time_zone(time_zone, portal.time_zone),
        }
    }
}

/// A request that passed all checks.
struct ValidRequest {
    recipient: Email,
    callback_url: CallbackUrl,
    shown_host: ShownHost,
    portal: Arc<Portal>,
}

/// Checks the fields together and builds the callback URL.
///
/// # Errors
/// 400 with every issue in the request. If all issues belong to one error code, the response has that code; otherwise,
/// it has `invalid_request`.
fn validate(state: &AppState, headers: &HeaderMap, body: MagicLinkRequest) -> Result<ValidRequest, ErrorResponse> {
    let MagicLinkRequest { email, callback_origin, callback_next, mut issues, .. } = body;
    let mut codes = vec![ErrorCode::InvalidRequest; issues.len()];

    // If `callback_origin` has the wrong type, it already has an issue. Trying the headers could add a second,
    // misleading issue.
    let has_origin_issue = issues.iter().any(|issue| issue.path == "callback_origin");
    let mut found = None;
    if !has_origin_issue {
        let live = state.live.current();
        match source::resolve(|origin| live.portals.find(origin), callback_origin.as_deref(), headers) {
            Ok(resolved) => found = Some(resolved),
            Err(error) => {
                state.refused_origins.note(callback_origin.as_deref(), headers);
                codes.push(error.code);
                issues.push(error.issue);
            }
        }
    }
    let mut next = None;
    if let Some(text) = callback_next.filter(|text| !text.is_empty()) {
        let origin = found.as_ref().map(|found| &found.origin.origin);
        // Without a portal, the request will be refused anyway. Check the destination without prefixes, so that its own
        // issues are reported, too.
        let any = NextPrefixes::default();
        let prefixes = found.as_ref().map_or(&any, |found| &found.portal.next_prefixes);
        match CallbackNext::parse(&text, origin, prefixes) {
            Ok(parsed) => next = Some(parsed),
            Err(error) => {
                codes.push(ErrorCode::CallbackNextUnsafe);
                issues.push(error.issue());
            }
        }
    }
    let callback = found.and_then(|FoundPortal { portal, origin: PortalOrigin { origin, shown_host } }| {
        let url = url::build(&origin, &portal.callback_path, next.as_ref());
        let url = url.map_err(|CallbackTooLong { code, issue }| (codes.push(code), issues.push(issue)));
        url.ok().map(|url| (url, shown_host, portal))
    });
    match (email, callback) {
        (Some(recipient), Some((callback_url, shown_host, portal))) if issues.is_empty() => {
            Ok(ValidRequest { recipient, callback_url, shown_host, portal })
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

/// Stores the job, unless a quota is exceeded. When this returns `Ok`, the result is committed. The commit continues
/// even if the caller disconnects.
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
