//! The only exception to "the newest mailed link works": Supabase carried out a `generate_link` call late. The journals
//! must prove this. The late call began before the call that created the newest link, but was carried out after that
//! call. In between, the worker that made the late call was frozen, died or gave up the call. No worker can cancel such
//! a call.

use ::tests::record::{JobFacts, moment};
use sandbox::LinkCall;

use crate::{
    evidence::{Evidence, StepFacts},
    faults::LONGEST_DELAY,
};

/// Tolerance, in seconds, for comparing times recorded by different processes: steps, calls at the stand-in, and links.
const TOLERANCE: f64 = 0.02;
const LONGEST_DELAY_SECONDS: f64 = LONGEST_DELAY as f64 / 1_000.0;

/// Whether a call that no worker could stop might have invalidated this job's link.
pub(crate) fn is_excused(job: &JobFacts, evidence: &Evidence) -> bool {
    let Some(made) = step_that_made_the_link(job, evidence) else { return false };
    let calls = evidence.link_calls_for(&job.recipient);
    let Some(own) = calls.iter().rfind(|call| call.redirect_to == job.callback_url && belongs(call, made)) else {
        return false;
    };
    let others = calls.iter().filter(|call| !std::ptr::eq(*call, own) && call.carried_out == Some(200));
    let mut could_land_later = others.filter(|call| moment(call.at) + LONGEST_DELAY_SECONDS >= moment(own.at));
    could_land_later.any(|call| was_out_of_hand(call, made, job, evidence))
}

/// The step that created the mailed link: the last successful `generate_link` step that began before the link was
/// sealed. If an earlier claim also created a link, that link was lost before it could be sealed.
fn step_that_made_the_link<'a>(job: &JobFacts, evidence: &'a Evidence) -> Option<&'a StepFacts> {
    let sealed = job.link_made_at? + TOLERANCE;
    evidence.steps_of(job).iter().rfind(|step| is_made(step) && step.began <= sealed)
}

fn is_made(step: &StepFacts) -> bool {
    step.step == "generate_link" && step.outcome == "ok"
}

fn belongs(call: &LinkCall, step: &StepFacts) -> bool {
    let at = moment(call.at);
    step.step == "generate_link" && step.began - TOLERANCE <= at && at <= step.ended + TOLERANCE
}

/// Whether `call` began before the step that created the link, and could not be stopped by any worker.
fn was_out_of_hand(call: &LinkCall, made: &StepFacts, job: &JobFacts, evidence: &Evidence) -> bool {
    let same_page = |other: &&JobFacts| other.recipient == job.recipient && other.callback_url == call.redirect_to;
    let steps = evidence.jobs.iter().filter(same_page).flat_map(|other| evidence.steps_of(other));
    match steps.into_iter().rfind(|step| belongs(call, step) && !std::ptr::eq(*step, made)) {
        Some(step) => {
            let frozen = evidence.was_frozen(&step.worker, step.began, step.ended);
            step.began < made.began && (frozen || !is_made(step))
        }
        // The worker died and recorded nothing. A dead worker begins no calls, so this call was in flight when the
        // worker died.
        None => moment(call.at) < made.began,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use ::tests::record::Record;

    use super::*;
    use crate::fault_injector::{Incident, IncidentKind};

    const SOMEBODY: &str = "person-1@example.com";

    fn job(page: &str, link_made_at: Option<f64>) -> JobFacts {
        let (id, recipient, callback_url) = (page.to_owned(), SOMEBODY.to_owned(), page.to_owned());
        JobFacts { id, recipient, callback_url, link_made_at, ..JobFacts::default() }
    }

    fn step(page: &str, worker: &str, outcome: &str, began: f64, ended: f64) -> StepFacts {
        let (job_id, worker) = (page.to_owned(), format!("host:{worker}:start"));
        let (step, outcome) = ("generate_link".to_owned(), outcome.to_owned());
        StepFacts { job_id, attempt: 1, step, outcome, http_status: None, code: None, began, ended, worker }
    }

    fn call(page: &str, at: f64) -> LinkCall {
        LinkCall {
            at: UNIX_EPOCH + Duration::from_secs_f64(at),
            kind: String::new(),
            email: SOMEBODY.to_owned(),
            redirect_to: page.to_owned(),
            user_agent: None,
            referer: None,
            api_version: None,
            apikey_present: true,
            carried_out: Some(200),
            answered: None,
        }
    }

    /// Returns whether the newest job's link is excused if an older job's call arrived at `other_call_at` and was
    /// recorded as `others`. The newest job's `generate_link` step lasted from second 20.0 to second 20.1. Worker 1 was
    /// frozen from second 11 to second 21.
    fn is_excused_after(others: Vec<StepFacts>, other_call_at: f64) -> bool {
        let made = step("new", "2", "ok", 20.0, 20.1);
        let evidence = Evidence {
            record: Record { jobs: vec![job("old", None), job("new", Some(20.0))], ..Record::default() },
            steps: [("old".to_owned(), others), ("new".to_owned(), vec![made])].into(),
            link_calls: [(SOMEBODY.to_owned(), vec![call("new", 20.05), call("old", other_call_at)])].into(),
            incidents: vec![Incident { kind: IncidentKind::Freeze, pid: 1, from: 11.0, to: 21.0 }],
            ..Evidence::default()
        };
        is_excused(&evidence.jobs[1], &evidence)
    }

    #[test]
    fn only_an_earlier_call_that_no_worker_could_stop_is_excused() {
        let frozen = |began| vec![step("old", "1", "stopped", began, 21.1)];
        assert!(is_excused_after(frozen(10.9), 21.0), "the worker was frozen during its call");
        assert!(is_excused_after(vec![step("old", "3", "retry", 18.0, 19.9)], 19.0), "the worker gave up the call");
        assert!(is_excused_after(vec![], 19.9), "the worker died and recorded nothing");

        assert!(!is_excused_after(frozen(20.5), 20.9), "the call began after the newest link was requested");
        assert!(!is_excused_after(frozen(10.9), 15.0), "the call ended long before the newest link was requested");
        assert!(!is_excused_after(vec![step("old", "3", "ok", 19.5, 20.5)], 20.02), "no worker was frozen");
        assert!(!is_excused_after(vec![], 20.5), "the call began too late, and no step recorded it");
    }
}
