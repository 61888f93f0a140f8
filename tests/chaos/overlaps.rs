//! No two deliveries of one recipient are at the services at a time, or their links would kill each other; and none
//! goes on after its job has ended. A step whose worker was frozen in the middle of it may outlast its lease: nobody
//! can stop it.

use std::collections::HashMap;

use tests::record::{Broken, JobFacts};

use crate::evidence::{Evidence, StepFacts};

/// What is rounded away of a step's duration, in seconds.
const ROUNDING: f64 = 0.002;

/// Steps that were begun while another of the same recipient was under way.
pub(crate) fn overlaps(evidence: &Evidence) -> Vec<Broken> {
    let mut by_recipient: HashMap<&str, Vec<(&JobFacts, &StepFacts)>> = HashMap::new();
    for job in &evidence.jobs {
        let steps = evidence.steps_of(job).iter().filter(was_begun).map(|step| (job, step));
        by_recipient.entry(&job.recipient).or_default().extend(steps);
    }
    by_recipient.into_values().flat_map(|steps| overlaps_among(steps, evidence)).collect()
}

fn overlaps_among(mut steps: Vec<(&JobFacts, &StepFacts)>, evidence: &Evidence) -> Vec<Broken> {
    steps.sort_by(|(_, one), (_, other)| one.began.total_cmp(&other.began));
    let mut broken = vec![];
    for pair in steps.windows(2) {
        let ((job, first), (_, second)) = (pair[0], pair[1]);
        let overlap = second.began + ROUNDING < first.ended;
        if overlap && !evidence.was_frozen(&first.worker, first.began, first.ended) {
            let both = format!("{first:?} and {second:?}");
            broken.push(Broken::of(job, format!("two deliveries of a recipient overlap: {both}")));
        }
    }
    broken
}

/// Steps that were under way when another worker, which did not hold the job, ended it.
pub(crate) fn steps_after_the_end(evidence: &Evidence) -> Vec<Broken> {
    let mut broken = vec![];
    for job in &evidence.jobs {
        let late = |step: &&StepFacts| was_begun(step) && step.ended > job.ended + ROUNDING;
        let steps = evidence.steps_of(job).iter().filter(late);
        let mut unexplained = steps.filter(|step| !evidence.was_frozen(&step.worker, step.began, step.ended));
        broken.extend(unexplained.next().map(|step| Broken::of(job, format!("no step outlasts its job: {step:?}"))));
    }
    broken
}

/// A worker that looks at its clock, and finds that its lease is over, notes a step that it does not take.
fn was_begun(step: &&StepFacts) -> bool {
    step.outcome != "stopped" || step.ended > step.began
}
