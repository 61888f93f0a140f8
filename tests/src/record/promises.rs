//! The promises that must hold after every run. Each promise is a function that takes the record of a run, and returns
//! the violations in this record.

use std::collections::{HashMap, HashSet};

use super::{JobFacts, Record};

/// A broken promise.
#[derive(Debug)]
pub struct Broken {
    /// How the promise was broken.
    pub promise: String,
    /// The id of the job for which the promise was broken. `None` if the violation does not concern a single job.
    pub job: Option<String>,
}

impl Broken {
    /// A violation that concerns one job.
    pub fn of(job: &JobFacts, promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), job: Some(job.id.clone()) }
    }

    /// A violation that does not concern a single job.
    pub fn of_all(promise: impl Into<String>) -> Self {
        Self { promise: promise.into(), job: None }
    }
}

/// Returns all violations of the promises in this module.
#[must_use]
pub fn broken(record: &Record) -> Vec<Broken> {
    [
        every_request_is_answered_200_or_503,
        each_accepted_request_has_one_job,
        every_job_ended_with_a_reason,
        every_sent_job_has_a_mail,
        all_mails_of_a_job_are_copies,
    ]
    .into_iter()
    .flat_map(|promise| promise(record))
    .collect()
}

/// Every request is answered with 200 or 503. A 503 is expected only while Postgres is unavailable, but this is not
/// checked. No api is ever stopped, so a missing response is a violation.
fn every_request_is_answered_200_or_503(record: &Record) -> Vec<Broken> {
    let other = record.asked.iter().filter(|asked| !matches!(asked.answer, Ok(200 | 503)));
    other.map(|asked| Broken::of_all(format!("a request was not answered with 200 or 503: {asked:?}"))).collect()
}

/// An accepted request has one job, not counting an operator's retries. A refused request has at most one job: the job
/// may have been committed although the api did not receive the answer from Postgres.
fn each_accepted_request_has_one_job(record: &Record) -> Vec<Broken> {
    let mut rows: HashMap<&str, Vec<&JobFacts>> = HashMap::new();
    let first = record.jobs.iter().filter(|job| !job.is_retry());
    first.for_each(|job| rows.entry(&job.request_id).or_default().push(job));
    let mut broken = vec![];
    for asked in &record.asked {
        match rows.remove(asked.request_id.as_str()).unwrap_or_default()[..] {
            [job] if job.recipient == asked.recipient => {}
            [] if asked.answer != Ok(200) => {}
            ref jobs => {
                let problem = format!("a request does not have exactly one job for its recipient: {asked:?} {jobs:?}");
                broken.push(Broken::of_all(problem));
            }
        }
    }
    let unasked = rows.into_values().flatten();
    broken.extend(unasked.map(|job| Broken::of(job, "the job belongs to no request")));
    broken
}

fn every_job_ended_with_a_reason(record: &Record) -> Vec<Broken> {
    let mut broken = vec![];
    for job in &record.jobs {
        match (job.state.as_str(), job.code.as_deref()) {
            (_, _) if job.ended.is_finite() && job.has_lease_or_link => {
                broken.push(Broken::of(job, "an ended job still has a lease or a link"));
            }
            ("sent", None)
            | ("failed" | "expired", Some(_))
            | ("superseded", Some("newer_request" | "duplicate"))
            | ("cancelled", Some("cancelled")) => {}
            (state, code) => {
                broken.push(Broken::of(job, format!("a job did not end with a valid reason: {state} {code:?}")))
            }
        }
    }
    broken.extend(superseded_by_nothing(record));
    broken
}

/// Finds jobs that ended as superseded although there is no newer request, or as duplicates although there is no
/// original request.
fn superseded_by_nothing(record: &Record) -> Vec<Broken> {
    let newest: HashMap<&str, i64> = record.newest().map(|job| (job.recipient.as_str(), job.seq)).collect();
    let real: HashSet<(&str, &str)> = record
        .jobs
        .iter()
        .filter(|job| !job.is_duplicate())
        .map(|job| (job.recipient.as_str(), job.callback_url.as_str()))
        .collect();
    let is_unexplained = |job: &&JobFacts| match job.code.as_deref() {
        Some("newer_request") => newest[job.recipient.as_str()] <= job.seq,
        Some("duplicate") => !real.contains(&(job.recipient.as_str(), job.callback_url.as_str())),
        _ => false,
    };
    record
        .jobs
        .iter()
        .filter(is_unexplained)
        .map(|job| Broken::of(job, "a job was superseded, but no other request could have superseded it"))
        .collect()
}

fn every_sent_job_has_a_mail(record: &Record) -> Vec<Broken> {
    let sent = record.jobs.iter().filter(|job| job.state == "sent");
    let missing = sent.filter(|job| !record.mails_of(job).iter().any(|mail| mail.is_to(&job.recipient)));
    missing.map(|job| Broken::of(job, "a sent job has no mail")).collect()
}

fn all_mails_of_a_job_are_copies(record: &Record) -> Vec<Broken> {
    let differ = |job: &&JobFacts| {
        let mails = record.mails_of(job);
        let kinds: HashSet<_> = mails.iter().map(|mail| (mail.link(), &mail.message_id, &mail.to)).collect();
        kinds.len() > 1 || mails.iter().any(|mail| mail.link().is_none() || !mail.is_to(&job.recipient))
    };
    let jobs = record.jobs.iter().filter(differ);
    jobs.map(|job| Broken::of(job, "the mails of a job differ in their link or Message-Id")).collect()
}
