//! `operator_actions` has exactly one row for each action that took effect, and operators get an answer whenever
//! Postgres is up.

use std::collections::HashMap;

use tests::record::Broken;

use crate::{
    evidence::{ActionFacts, Evidence},
    fault_injector::{Incident, IncidentKind},
    operators::{Act, Outcome},
};

/// Maximum number of seconds between the recorded end of a job and the moment when other transactions can see it. The
/// recorded time is when the statement began, and the statement may then have waited for a lock.
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
            // The code `cancelling` does not show whether this action or an earlier one cancelled the job. The module
            // `cancels` checks that exactly one of them took effect.
            (None, count) => count <= 1,
        };
        if !(agrees && rows.iter().all(|row| is_of(row, act))) {
            broken.push(about(act, evidence, &format!("an action does not match its recorded rows: {rows:?}")));
        }
    }
    broken.extend(rows.into_values().flatten().map(|row| Broken::of_all(format!("no operator did this: {row:?}"))));
    broken
}

fn is_of(row: &ActionFacts, act: &Act) -> bool {
    (row.action.as_str(), row.object.as_str(), row.actor.as_str())
        == (act.deed.action(), act.deed.object().as_str(), "magic_link_operator")
}

/// An action may go unanswered only during or shortly after a Postgres outage or failover, or while a frozen worker
/// holds a lock.
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

/// A broken promise about an action, with the action's job if it has one.
pub(crate) fn about(act: &Act, evidence: &Evidence, promise: &str) -> Broken {
    let job = evidence.job(&act.deed.object()).map(|job| job.id.clone());
    Broken { promise: format!("{promise}: {act:?}"), job }
}
