//! What the outbox promises, each promise a function from the evidence to those who broke it.

use std::collections::{HashMap, HashSet};

use crate::{
    evidence::{Evidence, JobFacts},
    late_links, logs, overlaps, refusals,
};

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) promise: String,
    /// Whose story tells why.
    pub(crate) job: Option<String>,
}

impl Broken {
    pub(crate) fn of(job: &JobFacts, promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), job: Some(job.id.clone()) }
    }

    pub(crate) fn of_all(promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), job: None }
    }
}

/// Every promise that the run broke.
pub(crate) fn broken(evidence: &Evidence) -> Vec<Broken> {
    [
        the_door_answers,
        what_was_accepted_is_there_once,
        every_job_has_ended_and_says_why,
        what_is_sent_is_in_the_mailbox,
        the_newest_mail_signs_in,
        all_mails_of_a_job_are_one,
        overlaps::overlaps,
        overlaps::steps_after_the_end,
        steps_and_states_agree,
        refusals::a_refusal_ends_a_job_after_anothers_success,
        refusals::what_refuses_everybody_ends_no_job,
        refusals::ordinary_jobs_lose_nothing,
        refusals::who_is_refused_for_good_is_told_why,
        refusals::who_is_held_up_by_a_hook_is_told_so,
        refusals::only_faults_for_good_let_jobs_expire,
        refusals::nothing_stays_stopped_or_suspected,
        logs::bad_lines,
        logs::hooks_that_stop_everybody,
    ]
    .into_iter()
    .flat_map(|promise| promise(evidence))
    .collect()
}

/// With 200 or, while Postgres is away, 503. No api was ever stopped, so that an answer that never came is a fault.
fn the_door_answers(evidence: &Evidence) -> Vec<Broken> {
    let other = evidence.asked.iter().filter(|asked| !matches!(asked.answer, Ok(200 | 503)));
    other.map(|asked| Broken::of_all(format!("the door answers with 200 or 503: {asked:?}"))).collect()
}

/// A request that was refused may have been committed, its answer lost: at most once.
fn what_was_accepted_is_there_once(evidence: &Evidence) -> Vec<Broken> {
    let mut rows: HashMap<&str, Vec<&JobFacts>> = HashMap::new();
    evidence.jobs.iter().for_each(|job| rows.entry(&job.request_id).or_default().push(job));
    let mut broken = vec![];
    for asked in &evidence.asked {
        match rows.remove(asked.request_id.as_str()).unwrap_or_default()[..] {
            [job] if job.recipient == asked.recipient => {}
            [] if asked.answer != Ok(200) => {}
            ref jobs => broken.push(Broken::of_all(format!("an accepted request is one job: {asked:?} {jobs:?}"))),
        }
    }
    let unasked = rows.into_values().flatten();
    broken.extend(unasked.map(|job| Broken::of(job, "nobody asked for this job")));
    broken
}

fn every_job_has_ended_and_says_why(evidence: &Evidence) -> Vec<Broken> {
    let mut broken = vec![];
    for job in &evidence.jobs {
        match (job.state.as_str(), job.code.as_deref()) {
            ("sent" | "failed" | "expired", _) if job.holds_something => {
                broken.push(Broken::of(job, "a job that ended still has a lease or a link"));
            }
            ("sent", None) | ("failed" | "expired", Some(_)) | ("superseded", Some("newer_request" | "duplicate")) => {}
            (state, code) => broken.push(Broken::of(job, format!("a job ends and says why: {state} {code:?}"))),
        }
    }
    broken.extend(gave_way_to_nobody(evidence));
    broken
}

/// Jobs that ended for a newer request that is not there, or as a double click of nothing.
fn gave_way_to_nobody(evidence: &Evidence) -> Vec<Broken> {
    let newest: HashMap<&str, i64> = evidence.newest().map(|job| (job.recipient.as_str(), job.seq)).collect();
    let real: HashSet<(&str, &str)> = evidence
        .jobs
        .iter()
        .filter(|job| job.code.as_deref() != Some("duplicate"))
        .map(|job| (job.recipient.as_str(), job.callback_url.as_str()))
        .collect();
    let lonely = |job: &&JobFacts| match job.code.as_deref() {
        Some("newer_request") => newest[job.recipient.as_str()] <= job.seq,
        Some("duplicate") => !real.contains(&(job.recipient.as_str(), job.callback_url.as_str())),
        _ => false,
    };
    evidence.jobs.iter().filter(lonely).map(|job| Broken::of(job, "a job gave way to nobody")).collect()
}

fn what_is_sent_is_in_the_mailbox(evidence: &Evidence) -> Vec<Broken> {
    let sent = evidence.jobs.iter().filter(|job| job.state == "sent");
    let missing = sent.filter(|job| !evidence.mails_of(job).iter().any(|mail| mail.is_to(&job.recipient)));
    missing.map(|job| Broken::of(job, "the mail of a sent job is in the mailbox")).collect()
}

fn the_newest_mail_signs_in(evidence: &Evidence) -> Vec<Broken> {
    let dead = evidence.newest().filter(|job| evidence.is_dead(job) && !late_links::is_excused(job, evidence));
    dead.map(|job| Broken::of(job, format!("the newest mail signs in: {:?}", evidence.opened.get(&job.id)))).collect()
}

impl Evidence {
    /// Whether this job was mailed, and its link does not work.
    pub(crate) fn is_dead(&self, job: &JobFacts) -> bool {
        job.state == "sent" && self.opened.get(&job.id).is_none_or(|outcome| outcome != "signed_in")
    }
}

fn all_mails_of_a_job_are_one(evidence: &Evidence) -> Vec<Broken> {
    let differ = |job: &&JobFacts| {
        let mails = evidence.mails_of(job);
        let kinds: HashSet<_> = mails.iter().map(|mail| (mail.link(), &mail.message_id, &mail.to)).collect();
        kinds.len() > 1 || mails.iter().any(|mail| mail.link().is_none() || !mail.is_to(&job.recipient))
    };
    let jobs = evidence.jobs.iter().filter(differ);
    jobs.map(|job| Broken::of(job, "all mails of a job carry one link and one Message-Id")).collect()
}

/// A mail that was taken is noted in the statement that ends its job as sent, so that neither is there without the
/// other; and what failed was refused, or was tried too often.
fn steps_and_states_agree(evidence: &Evidence) -> Vec<Broken> {
    let agrees = |job: &&JobFacts| {
        let steps = evidence.steps_of(job);
        match job.state.as_str() {
            "sent" => steps.iter().any(|step| {
                (step.step.as_str(), step.outcome.as_str(), step.http_status) == ("send", "ok", Some(200))
                    && step.attempt == job.attempt
            }),
            "failed" => {
                job.code.as_deref() == Some("attempts_exhausted")
                    || steps.last().is_some_and(|step| step.outcome == "reject")
            }
            _ => true,
        }
    };
    let jobs = evidence.jobs.iter().filter(|job| !agrees(job));
    jobs.map(|job| Broken::of(job, format!("steps and states agree: {}", job.state))).collect()
}
