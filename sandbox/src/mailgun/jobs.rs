//! The mailbox page's list of jobs whose mail has not been sent, with the reason for each. The list is empty unless
//! [`MailgunSettings::jobs`](super::MailgunSettings::jobs) is set.

use crate::html::escape;
use chrono::{DateTime, SecondsFormat, Utc};

/// The jobs whose mail has not been sent, and the reasons if all mail is stopped or slowed down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenJobs {
    /// The jobs, newest first.
    pub jobs: Vec<OpenJob>,
    /// The reasons why all mail is stopped or slowed down. Empty if it is neither.
    pub stops: Vec<String>,
}

/// A job whose mail has not been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenJob {
    /// The recipient of the mail.
    pub recipient: String,
    /// The state: `queued`, `running`, `retrying`, `failed` or `expired`.
    pub state: String,
    /// The result of the last attempt. `None` before the first attempt.
    pub reason: Option<String>,
    /// The time of the next attempt, if the job is waiting.
    pub next_try: DateTime<Utc>,
}

/// Renders the jobs and reasons as HTML. Returns an empty string if there are none.
pub(super) fn render(open: &OpenJobs) -> String {
    let stops = open.stops.iter().map(|stop| format!("<p class=\"stop\">Mail is stopped: {}</p>", escape(stop)));
    let jobs = open.jobs.iter().map(|job| format!("<li>{}</li>", describe(job)));
    let (stops, jobs): (String, String) = (stops.collect(), jobs.collect());
    if jobs.is_empty() {
        return stops;
    }
    format!("{stops}<h2>Not mailed yet</h2><ul>{jobs}</ul>")
}

fn describe(job: &OpenJob) -> String {
    let next_try = job.next_try.to_rfc3339_opts(SecondsFormat::Millis, true);
    let state = match job.state.as_str() {
        "running" => "being sent".to_owned(),
        "retrying" => format!(
            "waiting, next attempt in <time class=\"countdown\" datetime=\"{next_try}\">{}</time>",
            job.next_try.format("(at %H:%M:%S UTC)")
        ),
        "failed" => "not sent".to_owned(),
        "expired" => "expired before it was sent".to_owned(),
        _ => "waiting".to_owned(),
    };
    let reason = job.reason.as_ref().map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
    format!("<strong>{}</strong> <span class=\"{}\">{state}{reason}</span>", escape(&job.recipient), class(&job.state))
}

fn class(state: &str) -> &'static str {
    if matches!(state, "failed" | "expired") { "bad" } else { "waits" }
}
