//! After a job has been cancelled, no mail is sent for it. A refused cancellation changes nothing.

use std::collections::HashMap;

use tests::record::{Broken, JobFacts, moment};

use crate::{
    actions::{LONGEST_WAIT_FOR_LOCK, about},
    evidence::Evidence,
    operators::{Act, Deed, Outcome},
};

/// Tolerance, in seconds, for a call's travel time and for differences between the clocks of the test and of Postgres.
const TOLERANCE: f64 = 0.02;

fn cancels(evidence: &Evidence) -> impl Iterator<Item = &Act> {
    evidence.acts.iter().filter(|act| matches!(act.deed, Deed::Cancel(_)))
}

/// If an operator's cancellation of a job took effect, exactly one cancellation is recorded. If not, none is. Only a
/// job with a recorded cancellation may end as cancelled. A job that a worker was running when it was cancelled may
/// also fail, expire or be superseded, but no mail may be sent for it.
pub(crate) fn cancelled_jobs_end_and_others_do_not(evidence: &Evidence) -> Vec<Broken> {
    let mut confirmed: HashMap<String, bool> = HashMap::new();
    for act in cancels(evidence) {
        *confirmed.entry(act.deed.object()).or_default() |= act.took_effect().unwrap_or(true);
    }
    let mut rows: HashMap<&str, usize> = HashMap::new();
    for row in evidence.actions.iter().filter(|row| row.action == "cancel") {
        *rows.entry(&row.object).or_default() += 1;
    }
    let agrees = |job: &&JobFacts| {
        let is_confirmed = confirmed.get(&job.id).copied().unwrap_or_default();
        let ends = match (is_confirmed, job.cancelled_at) {
            (false, marked) => job.state != "cancelled" && marked.is_none(),
            (true, None) => job.state == "cancelled",
            (true, Some(_)) => ["cancelled", "failed", "superseded", "expired"].contains(&job.state.as_str()),
        };
        ends && rows.get(job.id.as_str()).copied().unwrap_or_default() == usize::from(is_confirmed)
    };
    let broken = evidence.jobs.iter().filter(|job| !agrees(job));
    broken.map(|job| Broken::of(job, format!("a job's state contradicts its cancellation: {}", job.state))).collect()
}

/// A job that was running when it was cancelled is not claimed again. No mail is ever sent for it, because its link was
/// not stored yet. For a job that was waiting when it was cancelled, no mail is sent after the cancellation, with one
/// exception: a frozen worker whose lease has expired may still make the call that it was about to make. If the
/// operator was told that nothing was mailed, no mail was sent before the cancellation either.
pub(crate) fn cancelled_jobs_are_not_mailed(evidence: &Evidence) -> Vec<Broken> {
    let mut broken = vec![];
    for job in &evidence.jobs {
        let calls = evidence.send_calls_of(job);
        if job.cancelled_at.zip(job.attempted_at).is_some_and(|(cancelled, claimed)| claimed > cancelled) {
            broken.push(Broken::of(job, "a job was claimed again after it was cancelled"));
        }
        if job.cancelled_at.is_some() && !calls.is_empty() {
            broken.push(Broken::of(job, "a mail was sent for a job that was cancelled before its link was stored"));
        }
        let is_late = |at: f64| job.state == "cancelled" && at > job.ended + TOLERANCE;
        let mut late = calls.iter().filter(|call| is_late(moment(call.at)));
        if late.any(|call| !evidence.was_sender_frozen(job, call, job.ended)) {
            broken.push(Broken::of(job, "a mail was sent for a job after it was cancelled"));
        }
    }
    let unmailed = cancels(evidence).filter(|act| {
        matches!(&act.outcome, Outcome::Answered(outcome)
            if outcome.code == "cancelled" && outcome.message.contains("Nothing was mailed"))
    });
    let mailed = unmailed.filter(|act| evidence.send_calls.contains_key(&act.deed.object()));
    broken.extend(mailed.map(|act| about(act, evidence, "an operator was wrongly told that nothing was mailed")));
    broken
}

/// The reason given for each refused cancellation must be true.
pub(crate) fn refusals_are_true(evidence: &Evidence) -> Vec<Broken> {
    let is_true = |act: &&Act| match (act.code(), evidence.job(&act.deed.object())) {
        (None | Some("cancelled" | "cancelling"), job) => job.is_some(),
        (Some("not_found"), job) => job.is_none(),
        (Some("already_ended"), Some(job)) => job.ended <= act.to + TOLERANCE,
        // The job's link was stored, and the job had not ended.
        (Some("may_be_sent"), Some(job)) => job.link_made_at.is_some() && job.ended + LONGEST_WAIT_FOR_LOCK >= act.from,
        (Some(_), _) => false,
    };
    let broken = cancels(evidence).filter(|act| !is_true(act));
    broken.map(|act| about(act, evidence, "a cancellation got a wrong result")).collect()
}
