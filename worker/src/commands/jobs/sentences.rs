//! Sentences about what happened to a job, for `jobs show` and `jobs tail`.

use chrono::{DateTime, Utc};
use outbox::{
    DeliveryStatus, JobState,
    history::story::{ReportedEvent, TriedStep},
    operate::actions::{JobAction, JobRetry},
};

use super::{
    related::Story,
    text::{plain, time},
};

/// The history of a job in chronological order.
pub(super) fn in_order(story: &Story) -> Vec<(DateTime<Utc>, String)> {
    let mut told = vec![(story.job.created_at, requested(story))];
    told.extend(story.actions.iter().map(|acted| (acted.acted_at, action(acted))));
    told.extend(story.retry.iter().filter_map(|retry| Some((retry.decided_at?, retried(retry)))));
    told.extend(story.steps.iter().map(|tried| (tried.started_at, step(tried))));
    told.extend(story.events.iter().map(|reported| (reported.occurred_at, event(reported))));
    if let Some(finished_at) = story.job.finished_at {
        // The statement that cancels a waiting job also ends it, and the action is recorded an instant later. Still
        // show the end after the action.
        let cancelled_at =
            story.actions.iter().filter(|acted| acted.action == "cancel").map(|acted| acted.acted_at).max();
        told.push((
            finished_at.max(cancelled_at.unwrap_or(finished_at)),
            end(story.job.state, story.job.code.as_deref(), story.job.message.as_deref()),
        ));
    }
    // The sort is stable, so entries with the same time stay in the order in which they were added.
    told.sort_by_key(|(at, _)| *at);
    told
}

fn requested(story: &Story) -> String {
    let (job, callback) = (&story.job, story.callback.as_deref());
    let mut parts = vec![format!("request id {}", plain(&job.request_id))];
    if let Some(portal) = &job.portal {
        parts.push(format!("portal {}", plain(portal)));
    }
    if let Some(language) = &job.language {
        parts.push(format!("language {}", plain(language)));
    }
    match (callback, &job.shown_host) {
        (Some(callback), _) => parts.push(format!("callback {}", plain(callback))),
        (None, Some(host)) => parts.push(format!("callback at {}", plain(host))),
        (None, None) => {}
    }
    let parts = parts.join(", ");
    match (&story.retry_of, job.requested_at) {
        (Some(retry), Some(first)) => {
            format!(
                "Retried by an operator: {parts}. This job repeats job {}. The person made the original request at {}.",
                retry.job_id,
                time(first)
            )
        }
        _ => format!("Requested: {parts}."),
    }
}

/// An operator's action, as a sentence.
fn action(action: &JobAction) -> String {
    let did = match action.action.as_str() {
        "cancel" => "cancelled the job",
        "retry" => "filed a retry of the job",
        other => other,
    };
    let why = action.reason.as_deref().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    sentence(&format!("{} {}{why}", plain(&action.actor), plain(did)))
}

/// An api's decision on a retry, as a sentence.
fn retried(retry: &JobRetry) -> String {
    match (retry.new_job_id, &retry.code) {
        (Some(new), _) => format!("Retried as job {new}."),
        (None, Some(code)) => sentence(&format!("Not retried: {}", because(code, retry.message.as_deref()))),
        (None, None) => "An api has processed the retry, but its decision was not recorded.".to_owned(),
    }
}

/// A step that a worker tried, and its outcome, as a sentence.
pub(super) fn step(step: &TriedStep) -> String {
    let tried = match step.step.as_str() {
        "generate_link" => "requested a link from Supabase Auth",
        "send" => "handed the mail to Mailgun",
        other => other,
    };
    let outcome = match step.outcome.as_str() {
        "ok" => "succeeded",
        "retry" => "failed, will retry",
        "unknown" => "no clear answer, will send the same mail again",
        "reject" => "refused permanently",
        "configuration" => "refused until a setting is corrected",
        "stopped" => "interrupted, because the worker stopped or lost its lease",
        other => other,
    };
    let answer = step.http_status.map_or_else(|| "no HTTP response".to_owned(), |status| format!("HTTP {status}"));
    let why =
        step.code.as_deref().map(|code| format!(", {}", because(code, step.message.as_deref()))).unwrap_or_default();
    format!(
        "Attempt {}: {}: {}{why} ({answer}, {} ms, worker {}).",
        step.attempt,
        plain(tried),
        plain(outcome),
        step.duration_ms,
        plain(&step.worker)
    )
}

/// An event that Mailgun reported, as a sentence.
pub(super) fn event(event: &ReportedEvent) -> String {
    let details = [event.severity.as_deref(), event.reason.as_deref()].into_iter().flatten().map(plain);
    let details = details.collect::<Vec<_>>().join(", ");
    let details = if details.is_empty() { details } else { format!(" ({details})") };
    let status = event.delivery.map(|delivery| format!("; delivery status: {}", delivery.as_str())).unwrap_or_default();
    let codes = [event.smtp_code.map(|code| code.to_string()), event.enhanced_code.as_deref().map(plain)];
    let message = event.message.as_deref().map(|message| format!("\"{}\"", plain(message)));
    let said: Vec<String> = codes.into_iter().chain([message]).flatten().collect();
    let said = if said.is_empty() { String::new() } else { format!(" Details: {}.", said.join(" ")) };
    format!("Mailgun reported the event {}{details}{status}.{said}", plain(&event.event))
}

/// The end of a job, as a sentence.
pub(super) fn end(state: JobState, code: Option<&str>, message: Option<&str>) -> String {
    let why = code.map(|code| format!(" {}", because(code, message))).unwrap_or_default();
    match state {
        JobState::Sent if why.is_empty() => "Sent: Mailgun accepted the mail.".to_owned(),
        state => sentence(&format!("Ended as {}:{why}", state.as_str())),
    }
}

/// The state of a job, with the delivery status if there is one.
pub(super) fn state(state: JobState, delivery: Option<DeliveryStatus>) -> String {
    match delivery {
        Some(delivery) => format!("{}, {}", state.as_str(), delivery.as_str()),
        None => state.as_str().to_owned(),
    }
}

/// A code with its message.
pub(super) fn because(code: &str, message: Option<&str>) -> String {
    match message {
        Some(message) => format!("{}: {}", plain(code), plain(message).trim_end_matches('.')),
        None => plain(code),
    }
}

/// Removes trailing colons, and adds a full stop unless `text` already ends with `.`, `!` or `?`.
pub(super) fn sentence(text: &str) -> String {
    let text = text.trim_end_matches(':');
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}
