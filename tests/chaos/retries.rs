//! An operator's retry adds at most one job, and never replaces the person's own newer request.

use std::collections::{HashMap, HashSet};

use tests::record::{Broken, JobFacts};

use crate::{
    actions::{LONGEST_WAIT_FOR_LOCK, about},
    evidence::{Evidence, RetryFacts},
    operators::{Act, Deed},
};

fn filings(evidence: &Evidence) -> impl Iterator<Item = &Act> {
    evidence.acts.iter().filter(|act| matches!(act.deed, Deed::Retry(_)))
}

fn retry_of<'a>(evidence: &'a Evidence, job: &str) -> Option<&'a RetryFacts> {
    evidence.retries.iter().find(|retry| retry.job_id == job)
}

/// Every filed retry is eventually accepted or refused, and an accepted retry cannot be filed again.
pub(crate) fn every_filed_retry_is_decided(evidence: &Evidence) -> Vec<Broken> {
    let filed = filings(evidence).filter(|act| act.took_effect() == Some(true));
    let undecided = filed.filter(|act| {
        let retry = retry_of(evidence, &act.deed.object());
        !retry.is_some_and(|retry| {
            retry.state == "refused"
                || retry.state == "accepted" && retry.decided_at.is_some_and(|decided| decided > act.from)
        })
    });
    undecided.map(|act| about(act, evidence, "a retry was filed but not decided, or was filed again")).collect()
}

/// The new job of an accepted retry repeats the request of a job that ended without a mail. No other job is a retry.
pub(crate) fn each_accepted_retry_has_one_new_job(evidence: &Evidence) -> Vec<Broken> {
    let mut new: HashMap<&str, &JobFacts> =
        evidence.jobs.iter().filter(|job| job.is_retry()).map(|job| (job.id.as_str(), job)).collect();
    let mut broken = vec![];
    for retry in evidence.retries.iter().filter(|retry| retry.state == "accepted") {
        let (old, new) = (evidence.job(&retry.job_id), retry.new_job_id.as_deref().and_then(|id| new.remove(id)));
        if !old.zip(new).is_some_and(|(old, new)| repeats(new, old)) {
            let promise = format!("an accepted retry has no matching new job: {retry:?}");
            broken.push(Broken { promise, job: Some(retry.job_id.clone()) });
        }
    }
    broken.extend(new.into_values().map(|job| Broken::of(job, "a job is a retry, but no accepted retry created it")));
    broken
}

fn repeats(new: &JobFacts, old: &JobFacts) -> bool {
    let is_same =
        (&new.recipient, &new.callback_url, &new.request_id) == (&old.recipient, &old.callback_url, &old.request_id);
    let has_its_time = new.requested_at == Some(old.requested_at.unwrap_or(old.created));
    let was_unmailed = ["cancelled", "failed", "expired"].contains(&old.state.as_str());
    is_same && has_its_time && was_unmailed && new.created >= old.ended && new.seq > old.seq
}

/// A retry never replaces a newer request, so the person made no other request between the job and its retry, apart
/// from duplicates.
pub(crate) fn no_retry_replaces_a_newer_request(evidence: &Evidence) -> Vec<Broken> {
    let accepted = evidence
        .retries
        .iter()
        .filter_map(|retry| evidence.job(&retry.job_id).zip(evidence.job(retry.new_job_id.as_deref()?)));
    let replaces = accepted.filter(|(old, new)| {
        let mut between = evidence.jobs.iter().filter(|job| old.seq < job.seq && job.seq < new.seq);
        between.any(|job| job.recipient == old.recipient && !job.is_duplicate())
    });
    replaces.map(|(_, new)| Broken::of(new, "a retry replaced a newer request")).collect()
}

/// The reason given for each refused retry must be true. A retry can be refused when it is filed or when an api runs
/// it.
pub(crate) fn refusals_are_true(evidence: &Evidence) -> Vec<Broken> {
    let newest: HashMap<&str, i64> = evidence.newest().map(|job| (job.recipient.as_str(), job.seq)).collect();
    let retried: HashSet<&str> = evidence.retries.iter().map(|retry| retry.job_id.as_str()).collect();
    let has_newer = |job: &JobFacts| newest[job.recipient.as_str()] > job.seq;
    let is_true = |act: &&Act| match (act.code(), evidence.job(&act.deed.object())) {
        (None, _) => true,
        (Some("not_found"), job) => job.is_none(),
        (Some("filed" | "already_retried"), Some(job)) => retried.contains(job.id.as_str()),
        (Some("still_open"), Some(job)) => job.ended + LONGEST_WAIT_FOR_LOCK >= act.from,
        (Some("duplicate"), Some(job)) => job.is_duplicate(),
        (Some("asked_again"), Some(job)) => has_newer(job),
        (Some("may_have_arrived"), Some(job)) => job.state == "sent",
        (Some(_), _) => false,
    };
    let mut broken: Vec<Broken> = filings(evidence)
        .filter(|act| !is_true(act))
        .map(|act| about(act, evidence, "a retry got a wrong result"))
        .collect();
    for retry in evidence.retries.iter().filter(|retry| retry.state == "refused") {
        let is_true =
            retry.code.as_deref() == Some("asked_again") && evidence.job(&retry.job_id).is_some_and(has_newer);
        if !is_true {
            let promise = format!("a retry was refused without a valid reason: {retry:?}");
            broken.push(Broken { promise, job: Some(retry.job_id.clone()) });
        }
    }
    broken
}
