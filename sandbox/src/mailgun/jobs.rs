//! The mailbox page's list of unfinished jobs, with the reason for each. Needs
//! [`MailgunSettings::jobs`](super::MailgunSettings::jobs).

use crate::html::escape;
use chrono::{DateTime, SecondsFormat, Utc};

/// The jobs that have no mail yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenJobs {
    /// The jobs, newest first.
    pub jobs: Vec<OpenJob>,
    /// Why the breakers stop all mail. Empty while mail goes out.
    pub stops: Vec<String>,
}

/// A job without a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenJob {
    /// Its recipient.
    pub recipient: String,
    /// `queued`, `running`, `retrying`, `failed` or `expired`.
    pub state: String,
    /// The result of the last attempt. `None` before the first one.
    pub reason: Option<String>,
    /// When a waiting job is tried next.
    pub next_try: DateTime<Utc>,
}

/// Renders the list. Empty if there is nothing to show.
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
        "running" => "is being sent".to_owned(),
        "retrying" => format!(
            "waiting, next try in <time class=\"countdown\" datetime=\"{next_try}\">{}</time>",
            job.next_try.format("(at %H:%M:%S UTC)")
        ),
        "failed" => "not sent".to_owned(),
        "expired" => "not sent, because it is too late".to_owned(),
        _ => "waiting".to_owned(),
    };
    let reason = job.reason.as_ref().map(|reason| format!(": {}", escape(reason))).unwrap_or_default();
    format!("<strong>{}</strong> <span class=\"{}\">{state}{reason}</span>", escape(&job.recipient), class(&job.state))
}

fn class(state: &str) -> &'static str {
    if matches!(state, "failed" | "expired") { "bad" } else { "waits" }
}
