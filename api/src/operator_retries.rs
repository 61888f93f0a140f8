//! Runs the retries that operators file (`magic-link-worker jobs retry`, or `email_retry_job` in SQL). Each retry
//! becomes a job, as if the person had repeated the request: the callback must still be allowed, the workers must be
//! able to mail the job before its deadline, and the job counts towards the recipient's quota.

use std::{sync::Arc, time::Duration};

use outbox::{
    CallbackUrl, Email, Error, JobId, NewJob,
    operate::{
        actions::ActionOutcome,
        retries::{self, FiledRetry, PastRequest, RetryDecision},
    },
};
use portals::{Origin, PortalId};
use tokio::time::{MissedTickBehavior, interval};
use url::Url;
use words::choose_language;

use crate::{portal::FoundPortal, state::AppState};

/// Time between two checks for filed retries. The queue monitor, which finds the retries, polls at the same interval.
const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of retries that one api takes at a time, so that other apis can run the rest.
const MOST: i32 = 50;

/// Runs filed retries once a second. Never returns.
pub(crate) async fn run(state: Arc<AppState>) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if state.queue.is_prepared()
            && state.queue.has_filed_retries()
            && let Err(error) = run_filed(&state).await
        {
            // Retries that were taken but not settled can be taken again after 30 seconds.
            tracing::warn!(%error, "could not run the retries that operators have filed: trying again");
        }
    }
}

async fn run_filed(state: &AppState) -> Result<(), Error> {
    for FiledRetry { job, request } in retries::take_retries(&state.pool, MOST).await? {
        match request.map(|request| new_job(state, request)) {
            Some(Ok(Some(new_job))) => run_one(state, job, &new_job).await?,
            // The retry has to wait, and can be taken again after 30 seconds.
            Some(Ok(None)) => {}
            Some(Err(refusal)) => refuse(state, job, refusal).await?,
            None => refuse(state, job, refusal("not_found", "The job no longer exists.")).await?,
        }
    }
    Ok(())
}

async fn run_one(state: &AppState, retry: JobId, new_job: &NewJob) -> Result<(), Error> {
    match retries::run(&state.pool, &state.enqueue_policy, retry, new_job).await? {
        RetryDecision::Accepted => {
            state.queue.note_accepted();
            tracing::info!(
                job_id = %retry,
                new_job_id = %new_job.id,
                request_id = new_job.request_id,
                portal = new_job.portal,
                "retrying a job at an operator's request"
            );
        }
        RetryDecision::Refused(refusal) => log_refusal(retry, &refusal),
        RetryDecision::Gone => {}
    }
    Ok(())
}

async fn refuse(state: &AppState, retry: JobId, refusal: ActionOutcome) -> Result<(), Error> {
    retries::refuse(&state.pool, retry, &refusal).await?;
    log_refusal(retry, &refusal);
    Ok(())
}

fn log_refusal(retry: JobId, refusal: &ActionOutcome) {
    tracing::warn!(
        job_id = %retry,
        code = refusal.code,
        reason = refusal.message,
        "refused a retry that an operator had filed"
    );
}

fn refusal(code: &str, message: &str) -> ActionOutcome {
    ActionOutcome { code: code.to_owned(), message: message.to_owned() }
}

/// Creates the job that repeats a request. Returns `None` if the retry must wait, because the api currently rejects
/// jobs or no worker has loaded the job's portal.
///
/// # Errors
/// Returns the reason why the job can never be added.
fn new_job(state: &AppState, past: PastRequest) -> Result<Option<NewJob>, ActionOutcome> {
    let unreadable = || refusal("job_unreadable", "The job's row has been changed and is no longer valid.");
    let recipient = Email::from_stored(&past.recipient).map_err(|_| unreadable())?;
    let callback_url = CallbackUrl::parse(past.callback_url).map_err(|_| unreadable())?;
    let origin =
        Url::parse(callback_url.as_str()).ok().and_then(|url| Origin::from_url(&url)).ok_or_else(unreadable)?;
    let live = state.live.current();
    let found = live
        .portals
        .find(&origin)
        .filter(|found| found.portal.id.as_ref().map(PortalId::as_str) == past.portal.as_deref());
    let Some(FoundPortal { portal, origin }) = found else {
        let message = "The portal no longer exists, or no longer allows the origin of the job's callback.";
        return Err(refusal("callback_not_allowed", message));
    };
    let id = portal.id.as_ref().map(PortalId::as_str);
    let deadline = portal.deadline.unwrap_or_else(|| state.queue.job_deadline());
    if id.is_some_and(|id| state.portal_readiness.is_waiting(id)) || state.queue.decide_for(id, deadline).is_reject() {
        return Ok(None);
    }
    Ok(Some(NewJob {
        id: JobId::new(),
        recipient,
        callback_url,
        shown_host: origin.shown_host,
        language: past.language.unwrap_or_else(|| choose_language(None, None, portal.languages.as_slice()).tag()),
        time_zone: past.time_zone,
        portal: past.portal,
        portal_quota: portal.recipient_quota.clone(),
        deadline: portal.deadline,
        // A retry does not count towards any client's quota.
        client: String::new(),
        request_id: past.request_id,
        traceparent: past.traceparent,
    }))
}
