//! What the outbox promises, each promise a function from the evidence to those who broke it; those that hold after every
//! run are in `tests::record`.

use tests::record::{Broken, JobFacts, promises};

use crate::{evidence::Evidence, late_links, logs, overlaps, refusals};

/// Every promise that the run broke.
pub(crate) fn broken(evidence: &Evidence) -> Vec<Broken> {
    let of_this_test = [
        the_newest_mail_signs_in,
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
    ];
    let of_all_runs = promises::broken(&evidence.record);
    of_all_runs.into_iter().chain(of_this_test.into_iter().flat_map(|promise| promise(evidence))).collect()
}

fn the_newest_mail_signs_in(evidence: &Evidence) -> Vec<Broken> {
    let dead = evidence.newest().filter(|job| evidence.record.is_dead(job) && !late_links::is_excused(job, evidence));
    dead.map(|job| Broken::of(job, format!("the newest mail signs in: {:?}", evidence.opened.get(&job.id)))).collect()
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
