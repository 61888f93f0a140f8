//! `operator_actions` has exactly one row for each action that took effect, and operators get an answer whenever Postgres is up.

use std::collections::HashMap;

use tests::record::Broken;

use crate::{
    evidence::{ActionFacts, Evidence},
    fault_injector::{Incident, IncidentKind},
    operators::{Act, Outcome},
};

/// Maximum seconds from the recorded end of a job until others can see it. A job's end has the time at which its statement began, and
/// the statement may wait for a lock.
pub(crate) const LONGEST_WAIT_FOR_LOCK: f64 = 5.0;
/// Seconds for which an action may still fail after Postgres is back.
const GRACE: f64 = 3.0;

pub(crate) fn each_action_that_took_effect_has_one_row(evidence: &Evidence) -> Vec<Broken> {
    let mut rows: HashMap<&str, Vec<&ActionFacts>> = HashMap::new();
    for row in &evidence.actions {
        rows.entry(row.reason.as_deref().unwrap_or_default()).or_default().push(row);
    }
    let mut broken = vec![];
    for act in &evidence.acts {
        let rows = rows.remove(act.reason.as_str()).unwrap_or_default();
        let agrees = match (act.took_effect(), rows.len()) {
            (Some(took_effect), count) => count == usize::from(took_effect),
            // The answer is the same if the job was cancelled before. `cancels` checks that one action took effect.
            (None, count) => count <= 1,
        };
        if !(agrees && rows.iter().all(|row| is_of(row, act))) {
            broken.push(about(act, evidence, &format!("an action and its record disagree: {rows:?}")));
        }
    }
    broken.extend(rows.into_values().flatten().map(|row| Broken::of_all(format!("nobody did this: {row:?}"))));
    broken
}

fn is_of(row: &ActionFacts, act: &Act) -> bool {
    (row.action.as_str(), row.object.as_str(), row.actor.as_str())
        == (act.deed.action(), act.deed.object().as_str(), "magic_link_operator")
}

/// Only an outage of Postgres costs an operator the answer, or a frozen worker that holds a lock.
pub(crate) fn every_action_was_answered_while_postgres_was_up(evidence: &Evidence) -> Vec<Broken> {
    let failed = evidence.acts.iter().filter(|act| match &act.outcome {
        Outcome::Answered(_) => false,
        Outcome::LookedUp { error, .. } => {
            let is_lock = ["lock timeout", "statement timeout", "did not answer"].iter().any(|it| error.contains(it));
            let explains = |incident: &Incident| match incident.kind {
                IncidentKind::PostgresCrash | IncidentKind::ReadOnly => true,
                IncidentKind::Freeze => is_lock,
                IncidentKind::Kill | IncidentKind::Stop => false,
            };
            !evidence.had(act.from - GRACE, act.to, explains)
        }
    });
    failed.map(|act| about(act, evidence, "an action failed although Postgres was up")).collect()
}

/// A violation by an action, with the job that the action is about.
pub(crate) fn about(act: &Act, evidence: &Evidence, promise: &str) -> Broken {
    let job = evidence.job(&act.deed.object()).map(|job| job.id.clone());
    Broken { promise: format!("{promise}: {act:?}"), job }
}
