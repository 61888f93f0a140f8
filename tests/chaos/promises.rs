//! The promises of the outbox. Each promise is a function that returns its violations. `tests::record` contains the
//! promises that this test shares with the high-availability test.

use tests::record::{Broken, JobFacts, promises};

use crate::{actions, cancels, evidence::Evidence, late_links, logs, overlaps, pauses, refusals, retries};

/// Returns all violations in this run.
pub(crate) fn broken(evidence: &Evidence) -> Vec<Broken> {
    let of_this_test = [
        the_newest_mailed_link_works,
        overlaps::overlaps,
        overlaps::steps_after_the_end,
        steps_and_states_agree,
        refusals::a_job_fails_as_refused_only_after_anothers_success,
        refusals::general_faults_fail_no_job,
        refusals::faults_of_others_cost_no_job,
        refusals::permanently_refused_jobs_end_with_the_reason,
        refusals::jobs_held_up_by_a_hook_end_with_the_reason,
        refusals::only_permanent_faults_let_jobs_expire,
        refusals::no_upstream_stays_stopped_or_suspected,
        actions::each_action_that_took_effect_has_one_row,
        actions::every_action_was_answered_while_postgres_was_up,
        cancels::cancelled_jobs_end_and_others_do_not,
        cancels::cancelled_jobs_are_not_mailed,
        cancels::refusals_are_true,
        pauses::no_job_is_claimed_during_a_pause,
        pauses::no_mail_is_handed_over_during_a_pause,
        retries::every_filed_retry_is_decided,
        retries::each_accepted_retry_has_one_new_job,
        retries::no_retry_replaces_a_newer_request,
        retries::refusals_are_true,
        logs::bad_lines,
        logs::hooks_that_stop_everybody,
    ];
    let of_all_runs = promises::broken(&evidence.record);
    of_all_runs.into_iter().chain(of_this_test.into_iter().flat_map(|promise| promise(evidence))).collect()
}

/// A newer job that an operator cancelled before any worker claimed it does not invalidate the link in an older mail.
fn the_newest_mailed_link_works(evidence: &Evidence) -> Vec<Broken> {
    let dead =
        evidence.newest_claimed().filter(|job| evidence.record.is_dead(job) && !late_links::is_excused(job, evidence));
    dead.map(|job| Broken::of(job, format!("the newest mail's link does not work: {:?}", evidence.opened.get(&job.id))))
        .collect()
}

/// The statement that ends a job as sent also records the step in which Mailgun accepted the mail, so every sent job
/// has such a step. The last step of a failed job was a rejection, unless the job used up its attempts.
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
    jobs.map(|job| Broken::of(job, format!("the steps contradict the state {}", job.state))).collect()
}
