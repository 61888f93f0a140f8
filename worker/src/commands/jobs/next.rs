//! Describes what will happen to a job next, when, and what an operator can do about it.

use chrono::{DateTime, Utc};
use outbox::{DeliveryStatus, JobState, Upstream};

use super::{
    super::pause::described,
    advice::advice,
    related::Story,
    sentences::{because, sentence},
    text::{Names, plain, span, time},
};

/// A worker usually claims a queued job within this time, in seconds.
const USUAL_WAIT_SECONDS: i64 = 10;
/// Mailgun usually reports the delivery of a mail within this time, in minutes.
const USUAL_REPORT_MINUTES: i64 = 10;

/// Lines that describe what will happen to the job next.
pub(super) fn next(story: &Story, names: &Names) -> Vec<String> {
    let mut lines = match story.job.state {
        JobState::Queued => queued(story),
        JobState::Running => running(story),
        JobState::Retrying => retrying(story),
        JobState::Sent => sent(story),
        JobState::Superseded => vec![superseded(story)],
        JobState::Failed | JobState::Expired | JobState::Cancelled => {
            vec!["Nothing more: the job has ended without a mail. The person can request another link.".to_owned()]
        }
    };
    lines.extend(retry(story));
    if story.job.state.is_open() {
        let deadline = at(story.job.deadline_at, story.now);
        lines.push(format!("The job expires {deadline} unless its mail is sent before then."));
    }
    lines.extend(suppression(story, names));
    lines
}

/// The advice in docs/troubleshooting.md about the job's code, as one line.
pub(super) fn advice_line(story: &Story) -> Option<String> {
    let code = story.job.code.as_deref()?;
    let advice = advice(code)?;
    Some(format!("{code} ({}): {} See {}.", advice.then, sentence(&advice.text), advice.place))
}

fn queued(story: &Story) -> Vec<String> {
    let mut lines = obstacles(story);
    let waited = story.now - story.job.run_at;
    if lines.is_empty() {
        lines.push(if waited.num_seconds() > USUAL_WAIT_SECONDS {
            format!(
                "The job has waited {} for a free worker. Check that workers are running: select * from \
                 email_programs_now.",
                span(waited)
            )
        } else {
            "The next free worker will claim the job.".to_owned()
        });
    }
    lines.extend(last_failure(story));
    lines
}

fn last_failure(story: &Story) -> Option<String> {
    let code = story.job.code.as_deref()?;
    Some(sentence(&format!("The last attempt failed: {}", because(code, story.job.message.as_deref()))))
}

fn running(story: &Story) -> Vec<String> {
    if let Some(cancelled_at) = story.job.cancelled_at {
        return vec![format!(
            "An operator cancelled the job at {}. The worker that is running the job will end it without sending the \
             mail. If that worker has died, another worker will end the job {}.",
            time(cancelled_at),
            story.job.lease_expires_at.map_or_else(|| "soon".to_owned(), |lease| at(lease, story.now))
        )];
    }
    let worker = plain(story.job.worker.as_deref().unwrap_or("?"));
    let mut lines = vec![match story.job.lease_expires_at {
        Some(lease) if lease > story.now => {
            format!(
                "Worker {worker} is processing the job. If that worker dies, another worker will take over {}.",
                at(lease, story.now)
            )
        }
        _ => {
            format!(
                "Worker {worker} has lost its lease. If another worker is running, it will take over within seconds."
            )
        }
    }];
    lines.extend(last_failure(story));
    lines.extend(obstacles(story));
    lines
}

fn retrying(story: &Story) -> Vec<String> {
    let mut lines = vec![if story.job.run_at > story.now {
        format!("The next attempt is {}.", at(story.job.run_at, story.now))
    } else {
        "The next attempt is due: the next free worker will claim the job.".to_owned()
    }];
    lines.extend(last_failure(story));
    lines.extend(obstacles(story));
    lines
}

/// The state of the retry that an operator has filed, as a sentence. `None` if no retry was filed, or if an api has
/// refused the retry.
fn retry(story: &Story) -> Option<String> {
    let retry = story.retry.as_ref()?;
    match retry.new_job_id {
        Some(new) => Some(format!("The job was retried. To see the new job: magic-link-worker jobs show {new}")),
        None if retry.decided_at.is_none() => Some(format!(
            "An operator filed a retry at {}. The retry will run once an api is running and the mail can be sent \
             before its deadline.",
            time(retry.filed_at)
        )),
        None => None,
    }
}

/// What holds up this job and others: operators' pauses, and upstreams that are stopped or paused.
fn obstacles(story: &Story) -> Vec<String> {
    let by_operators = story.pauses.iter().map(|pause| {
        format!(
            "{} is paused {}. Paused by {}: {}. To resume: magic-link-worker resume {}",
            described(&pause.target),
            until(pause.ends_at, story.now),
            plain(&pause.paused_by),
            plain(&pause.reason).trim_end_matches('.'),
            plain(&pause.target)
        )
    });
    let stopped = story.stops.iter().map(|stop| {
        let why = because(&stop.failure.code, Some(&stop.failure.message));
        format!(
            "Calls to {} have been stopped for all jobs since {}: {}. Check {}.",
            name(stop.upstream),
            time(stop.since),
            why,
            plain(&stop.setting)
        )
    });
    let paused = story.upstreams.iter().filter(|state| state.is_paused);
    let paused =
        paused.map(|state| format!("{} is rate-limiting requests, so calls to it are paused.", name(state.upstream)));
    by_operators.chain(stopped).chain(paused).collect()
}

fn name(upstream: Upstream) -> &'static str {
    match upstream {
        Upstream::Supabase => "Supabase Auth",
        Upstream::Mailgun => "Mailgun",
    }
}

fn sent(story: &Story) -> Vec<String> {
    let since_end = story.job.finished_at.map(|finished_at| story.now - finished_at);
    let line = match story.job.delivery {
        None | Some(DeliveryStatus::Accepted) => {
            if since_end.is_some_and(|since| since.num_minutes() >= USUAL_REPORT_MINUTES) {
                "Mailgun accepted the mail, but has not reported whether it was delivered. Look for the mail in \
                 Mailgun's log for the domain. If no mail has a report, see docs/troubleshooting.md#nothingarrives."
            } else {
                "Mailgun accepted the mail. Mailgun's delivery report usually follows within seconds."
            }
        }
        Some(DeliveryStatus::Deferred) => {
            "The recipient's mail server temporarily refused the mail. Mailgun keeps trying. The server's response is \
             shown above."
        }
        Some(DeliveryStatus::Delivered) => {
            "Nothing more: the recipient's mail server accepted the mail. If the person cannot find the mail, ask them \
             to check the spam folder."
        }
        Some(DeliveryStatus::Undelivered) => {
            "Nothing more: Mailgun gave up. The response from the recipient's mail server is shown above. See \
             docs/troubleshooting.md#mailbounces."
        }
        Some(DeliveryStatus::Bounced) => {
            "Nothing more: the recipient's mail server permanently refused the mail. Check the spelling of the address."
        }
        Some(DeliveryStatus::Complained) => "Nothing more: the mail was delivered, and the person reported it as spam.",
        Some(DeliveryStatus::Suppressed) => {
            "Nothing more: Mailgun did not try to deliver the mail, because the address is on its list of bounces, \
             complaints or unsubscribes."
        }
    };
    vec![line.to_owned()]
}

fn superseded(story: &Story) -> String {
    let Some(other) = &story.replaced_by else {
        return "Nothing more: another request by the same person superseded this job.".to_owned();
    };
    let (when, request) = (time(other.created_at), plain(&other.request_id));
    let show = format!("magic-link-worker jobs show {}", other.id);
    if story.job.code.as_deref() == Some("duplicate") {
        format!(
            "Nothing more: this job repeats an earlier request ({request}, made at {when}), and one mail serves both \
             requests. To see the other job: {show}"
        )
    } else {
        format!(
            "Nothing more: a later request by the same person ({request}, made at {when}) superseded this job. To see \
             the other job: {show}"
        )
    }
}

fn suppression(story: &Story, names: &Names) -> Option<String> {
    let suppression = story.suppression.as_ref()?;
    let address = names.show(&story.job.recipient);
    Some(format!(
        "{address} is suppressed {} ({}): no mail is sent to it, even if one is requested. To end the suppression now: \
         select email_lift_suppression('the address'). See docs/operating.md#suppressed-addresses.",
        until(suppression.until, story.now),
        suppression.reason.as_str(),
    ))
}

/// A time and its distance from `now`, such as "at 2026-11-26T06:19:00Z (in 20s)".
fn at(when: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if when > now {
        format!("at {} (in {})", time(when), span(when - now))
    } else {
        format!("now (due since {})", time(when))
    }
}

fn until(when: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("until {} (for another {})", time(when), span(when - now))
}
