//! A recipient never has two deliveries in flight, because they would invalidate each other's links. No delivery
//! continues after its job has ended. The only exception is a step during which the worker was frozen: the step may
//! outlast the lease, and no worker can stop that step.

use std::collections::HashMap;

use tests::record::{Broken, JobFacts};

use crate::evidence::{Evidence, StepFacts};

/// Precision of a step's recorded duration, in seconds.
const ROUNDING: f64 = 0.002;

/// Steps that began while another step for the same recipient was in flight.
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
            broken.push(Broken::of(job, format!("two deliveries to one recipient overlapped: {both}")));
        }
    }
    broken
}

/// Steps that were still in flight after their job had ended.
pub(crate) fn steps_after_the_end(evidence: &Evidence) -> Vec<Broken> {
    let mut broken = vec![];
    for job in &evidence.jobs {
        let late = |step: &&StepFacts| was_begun(step) && step.ended > job.ended + ROUNDING;
        let steps = evidence.steps_of(job).iter().filter(late);
        let mut unexplained = steps.filter(|step| !evidence.was_frozen(&step.worker, step.began, step.ended));
        broken.extend(unexplained.next().map(|step| Broken::of(job, format!("a step outlasted its job: {step:?}"))));
    }
    broken
}

/// Whether a step was begun. A worker that finds that its lease has expired records a step without beginning it.
fn was_begun(step: &&StepFacts) -> bool {
    step.outcome != "stopped" || step.ended > step.began
}
