//! What holds after every run, whatever happened in it: each promise is a function from the record to what broke it.

use std::collections::{HashMap, HashSet};

use super::{JobFacts, Record};

/// A promise that was not kept.
#[derive(Debug)]
pub struct Broken {
    /// What was promised, and what was seen instead.
    pub promise: String,
    /// Whose story tells why.
    pub job: Option<String>,
}

impl Broken {
    /// A promise about one job.
    pub fn of(job: &JobFacts, promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), job: Some(job.id.clone()) }
    }

    /// A promise about all jobs.
    pub fn of_all(promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), job: None }
    }
}

/// What the run broke of these promises.
#[must_use]
pub fn broken(record: &Record) -> Vec<Broken> {
    [
        the_door_answers,
        what_was_accepted_is_there_once,
        every_job_has_ended_and_says_why,
        what_is_sent_is_in_the_mailbox,
        all_mails_of_a_job_are_one,
    ]
    .into_iter()
    .flat_map(|promise| promise(record))
    .collect()
}

/// With 200 or, while Postgres is away, 503. No api was ever stopped, so that an answer that never came is a fault.
fn the_door_answers(record: &Record) -> Vec<Broken> {
    let other = record.asked.iter().filter(|asked| !matches!(asked.answer, Ok(200 | 503)));
    other.map(|asked| Broken::of_all(format!("the door answers with 200 or 503: {asked:?}"))).collect()
}

/// A request that was refused may have been committed, its answer lost: at most once.
fn what_was_accepted_is_there_once(record: &Record) -> Vec<Broken> {
    let mut rows: HashMap<&str, Vec<&JobFacts>> = HashMap::new();
    record.jobs.iter().for_each(|job| rows.entry(&job.request_id).or_default().push(job));
    let mut broken = vec![];
    for asked in &record.asked {
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

fn every_job_has_ended_and_says_why(record: &Record) -> Vec<Broken> {
    let mut broken = vec![];
    for job in &record.jobs {
        match (job.state.as_str(), job.code.as_deref()) {
            ("sent" | "failed" | "expired", _) if job.holds_something => {
                broken.push(Broken::of(job, "a job that ended still has a lease or a link"));
            }
            ("sent", None) | ("failed" | "expired", Some(_)) | ("superseded", Some("newer_request" | "duplicate")) => {}
            (state, code) => broken.push(Broken::of(job, format!("a job ends and says why: {state} {code:?}"))),
        }
    }
    broken.extend(gave_way_to_nobody(record));
    broken
}

/// Jobs that ended for a newer request that is not there, or as a double click of nothing.
fn gave_way_to_nobody(record: &Record) -> Vec<Broken> {
    let newest: HashMap<&str, i64> = record.newest().map(|job| (job.recipient.as_str(), job.seq)).collect();
    let real: HashSet<(&str, &str)> = record
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
    record.jobs.iter().filter(lonely).map(|job| Broken::of(job, "a job gave way to nobody")).collect()
}

fn what_is_sent_is_in_the_mailbox(record: &Record) -> Vec<Broken> {
    let sent = record.jobs.iter().filter(|job| job.state == "sent");
    let missing = sent.filter(|job| !record.mails_of(job).iter().any(|mail| mail.is_to(&job.recipient)));
    missing.map(|job| Broken::of(job, "the mail of a sent job is in the mailbox")).collect()
}

fn all_mails_of_a_job_are_one(record: &Record) -> Vec<Broken> {
    let differ = |job: &&JobFacts| {
        let mails = record.mails_of(job);
        let kinds: HashSet<_> = mails.iter().map(|mail| (mail.link(), &mail.message_id, &mail.to)).collect();
        kinds.len() > 1 || mails.iter().any(|mail| mail.link().is_none() || !mail.is_to(&job.recipient))
    };
    let jobs = record.jobs.iter().filter(differ);
    jobs.map(|job| Broken::of(job, "all mails of a job carry one link and one Message-Id")).collect()
}
