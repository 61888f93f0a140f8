//! Reports everything known about a job that broke a promise. Entries that have a time are in chronological order.

use std::fmt::Write as _;

use tests::record::{Broken, JobFacts, moment};

use crate::evidence::Evidence;

/// Maximum number of log lines to report per program.
const LINES: usize = 80;

pub(crate) fn of(broken: &Broken, evidence: &Evidence) -> String {
    let mut report = format!("\n=== {}\n", broken.promise);
    let job = broken.job.as_ref().and_then(|id| evidence.jobs.iter().find(|job| job.id == *id));
    if let Some(job) = job {
        tell(&mut report, job, evidence);
    }
    report
}

fn tell(report: &mut String, job: &JobFacts, evidence: &Evidence) {
    let mut events = vec![];
    let others = evidence.jobs.iter().filter(|other| other.recipient == job.recipient);
    for other in others {
        let mark = if other.id == job.id { "THE JOB" } else { "another job for the same recipient" };
        // Writing to a String cannot fail.
        writeln!(report, "{mark}: {}", other.row).ok();
        let steps = evidence.steps_of(other).iter();
        events.extend(steps.map(|step| (step.began, format!("{step:?}"))));
        let mails = evidence.mails_of(other).iter();
        events.extend(mails.map(|mail| {
            let text = format!("mail of job {}: {} {:?}", other.id, mail.message_id, mail.link());
            (moment(mail.received), text)
        }));
        for call in evidence.send_calls.get(&other.id).into_iter().flatten() {
            let text = format!("call to Mailgun for {}: {:?} {:?}", other.id, call.carried_out, call.answered);
            events.push((moment(call.at), text));
        }
    }
    let acts = evidence
        .acts
        .iter()
        .filter(|act| evidence.job(&act.deed.object()).is_some_and(|it| it.recipient == job.recipient));
    events.extend(acts.map(|act| (act.from, format!("{act:?}"))));
    let retries = evidence
        .retries
        .iter()
        .filter(|retry| evidence.job(&retry.job_id).is_some_and(|it| it.recipient == job.recipient));
    events.extend(retries.map(|retry| (retry.decided_at.unwrap_or(f64::INFINITY), format!("{retry:?}"))));
    for call in evidence.link_calls_for(&job.recipient) {
        let text = format!("call to Supabase for {}: {:?} {:?}", call.redirect_to, call.carried_out, call.answered);
        events.push((moment(call.at), text));
    }
    events.extend(evidence.incidents.iter().map(|incident| (incident.from, format!("{incident:?}"))));
    events.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    events.iter().for_each(|(at, text)| {
        writeln!(report, "{at:.3} {text}").ok();
    });
    for (program, log) in &evidence.logs {
        for line in log.iter().filter(|line| line.contains(&job.id)).take(LINES) {
            writeln!(report, "{program}: {line}").ok();
        }
    }
}
