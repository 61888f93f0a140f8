//! What will happen to a job next, when, and what an operator can do about it.

use chrono::{DateTime, Utc};
use outbox::{DeliveryStatus, JobState, Upstream};

use super::{
    super::pause::described,
    advice::advice,
    related::Story,
    sentences::{because, sentence},
    text::{Names, plain, span, time},
};

/// Seconds that a job may wait for a worker before something is wrong.
const USUAL_WAIT_SECONDS: i64 = 10;
/// Minutes after which Mailgun has usually reported something.
const USUAL_REPORT_MINUTES: i64 = 10;

/// What happens next, one thought per line.
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
        lines.push(format!("It expires {} unless it is mailed before then.", at(story.job.deadline_at, story.now)));
    }
    lines.extend(suppression(story, names));
    lines
}

/// What docs/troubleshooting.md says about the job's code, as one line.
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
                "It has waited {} for a free worker. Check that workers are running: select * from email_programs_now.",
                span(waited)
            )
        } else {
            "A worker claims it as soon as one is free.".to_owned()
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
            "An operator cancelled it at {}. Its worker ends it before it is mailed. If that worker has died, another one does so {}.",
            time(cancelled_at),
            story.job.lease_expires_at.map_or_else(|| "soon".to_owned(), |lease| at(lease, story.now))
        )];
    }
    let worker = plain(story.job.worker.as_deref().unwrap_or("?"));
    let mut lines = vec![match story.job.lease_expires_at {
        Some(lease) if lease > story.now => {
            format!(
                "Worker {worker} is delivering it. If that worker dies, another one takes over {}.",
                at(lease, story.now)
            )
        }
        _ => {
            format!("Worker {worker} has lost its lease. Another worker takes over within seconds, if one is running.")
        }
    }];
    lines.extend(last_failure(story));
    lines.extend(obstacles(story));
    lines
}

fn retrying(story: &Story) -> Vec<String> {
    let mut lines = vec![if story.job.run_at > story.now {
        format!("It waits for its next attempt {}.", at(story.job.run_at, story.now))
    } else {
        "Its next attempt is due: a worker claims it as soon as one is free.".to_owned()
    }];
    lines.extend(last_failure(story));
    lines.extend(obstacles(story));
    lines
}

/// What becomes of the retry that an operator has filed.
fn retry(story: &Story) -> Option<String> {
    let retry = story.retry.as_ref()?;
    match retry.new_job_id {
        Some(new) => Some(format!("It was retried. To see the new job: magic-link-worker jobs show {new}")),
        None if retry.decided_at.is_none() => Some(format!(
            "An operator asked at {} to retry it: an api does so once it is running and mail can be sent in time.",
            time(retry.filed_at)
        )),
        None => None,
    }
}

/// What holds up the job together with others: pauses of operators, and upstreams.
fn obstacles(story: &Story) -> Vec<String> {
    let by_operators = story.pauses.iter().map(|pause| {
        format!(
            "{} is paused {} by {}: {}. To resume: magic-link-worker resume {}",
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
            "{} has been stopped for everybody since {}: {}. Look at {}.",
            name(stop.upstream),
            time(stop.since),
            why,
            plain(&stop.setting)
        )
    });
    let paused = story.upstreams.iter().filter(|state| state.is_paused);
    let paused =
        paused.map(|state| format!("{} has asked for a pause, because it is rate-limiting us.", name(state.upstream)));
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
                "Mailgun accepted the mail and has not reported what became of it. Look for it in Mailgun's log of the \
                 domain. If all mails lack reports, see docs/troubleshooting.md#nothingarrives."
            } else {
                "Mailgun accepted the mail. Its report of the delivery usually follows within seconds."
            }
        }
        Some(DeliveryStatus::Deferred) => {
            "The recipient's mail server refused the mail for now. Mailgun keeps trying. See above for what the server said."
        }
        Some(DeliveryStatus::Delivered) => {
            "Nothing more: the recipient's mail server accepted the mail. If the person does not see it, ask them to look \
             into the spam folder."
        }
        Some(DeliveryStatus::Undelivered) => {
            "Nothing more: Mailgun gave up. See above for what the recipient's mail server said. See \
             docs/troubleshooting.md#mailbounces."
        }
        Some(DeliveryStatus::Bounced) => {
            "Nothing more: the recipient's mail server refused the mail for good. Check the spelling of the address."
        }
        Some(DeliveryStatus::Complained) => "Nothing more: the mail was delivered, and the person reported it as spam.",
        Some(DeliveryStatus::Suppressed) => {
            "Nothing more: Mailgun did not try, because the address is on its list of bounces, complaints or unsubscribes."
        }
    };
    vec![line.to_owned()]
}

fn superseded(story: &Story) -> String {
    let Some(other) = &story.replaced_by else {
        return "Nothing more: another request by the same person took its place.".to_owned();
    };
    let (when, request) = (time(other.created_at), plain(&other.request_id));
    let show = format!("magic-link-worker jobs show {}", other.id);
    if story.job.code.as_deref() == Some("duplicate") {
        format!(
            "Nothing more: it repeats the request {request} of {when}, whose mail serves both. To see that job: {show}"
        )
    } else {
        format!("Nothing more: the person's later request {request} of {when} took its place. To see that job: {show}")
    }
}

fn suppression(story: &Story, names: &Names) -> Option<String> {
    let suppression = story.suppression.as_ref()?;
    let address = names.show(&story.job.recipient);
    Some(format!(
        "{address} is suppressed {} ({}): requests for it get no mail. To end the suppression now: select \
        email_lift_suppression('the address'). See docs/operating.md#suppressed-addresses.",
        until(suppression.until, story.now),
        suppression.reason.as_str(),
    ))
}

/// Such as "at 2026-11-26T06:19:00Z (in 20s)".
fn at(when: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if when > now {
        format!("at {} (in {})", time(when), span(when - now))
    } else {
        format!("now (since {})", time(when))
    }
}

fn until(when: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("until {} (for {})", time(when), span(when - now))
}
