//! `magic-link-worker jobs cancel`: cancels open jobs.

use outbox::{JobId, PgPool, history, operate::cancel};

use super::{
    act::{Act, conclude, given_ids, print_outcome, print_plan, select},
    list::selected_by,
};
use crate::{commands::CommandError, settings::CancelArguments};

/// Cancels the open jobs that the operator selects by id or with a filter.
pub(super) async fn cancel(pool: &PgPool, arguments: &CancelArguments) -> Result<(), CommandError> {
    let act = Act { command: "cancel", done: "cancelled", options: String::new() };
    let ids = match given_ids(&act, &arguments.ids, &arguments.filter)? {
        None => {
            if arguments.filter.state.is_some_and(|state| !state.is_open()) {
                return Err(CommandError::WrongState("only open jobs can be cancelled: queued, running or retrying"));
            }
            let now = history::now(pool).await?;
            // The filter always includes open jobs. With `now` as the start time, it leaves out ended jobs.
            let filter = selected_by(&arguments.filter, now);
            let jobs = select(pool, filter, |job| job.state.is_open()).await?;
            if jobs.is_empty() {
                return Err(CommandError::NoSuchJob("no open job matches the filter".to_owned()));
            }
            if !arguments.act.yes {
                let plan: Vec<_> = jobs.into_iter().map(|job| (job, None)).collect();
                return print_plan(&act, &arguments.filter, &arguments.act, &plan, now);
            }
            jobs.into_iter().map(|job| job.id).collect()
        }
        Some(ids) => ids.to_vec(),
    };
    run(pool, &act, arguments, &ids).await
}

async fn run(pool: &PgPool, act: &Act, arguments: &CancelArguments, ids: &[JobId]) -> Result<(), CommandError> {
    let mut outcomes = Vec::with_capacity(ids.len());
    for id in ids {
        let outcome = cancel::cancel(pool, *id, arguments.act.reason.as_deref()).await?;
        print_outcome(*id, &outcome, arguments.act.format.json)?;
        outcomes.push(outcome);
    }
    let done = outcomes.iter().filter(|outcome| matches!(outcome.code.as_str(), "cancelled" | "cancelling")).count();
    conclude(act, done, &outcomes, arguments.act.format.json)
}
