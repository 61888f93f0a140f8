//! `magic-link-worker jobs retry`: files retries, and waits for an api to run them.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use outbox::{
    JobId, PgPool, history,
    operate::{
        actions::{self, ActionOutcome, JobRetry},
        retries,
    },
};
use tokio::time::sleep;

use super::{
    act::{Act, conclude, given_ids, print_outcome, print_plan, select},
    list::selected_by,
    text::quoted,
};
use crate::{
    commands::CommandError,
    settings::{DEFAULT_RETRY_SINCE, RetryArguments},
};

/// The command stops waiting if no api decides on any of the filed retries for this long. An api looks for retries
/// every second.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How often to check whether an api has run the retries.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Retries the ended jobs that the operator selects by id or with a filter.
pub(super) async fn retry(pool: &PgPool, arguments: &RetryArguments) -> Result<(), CommandError> {
    let since = arguments.since.unless(DEFAULT_RETRY_SINCE);
    let options = since.map(|since| format!(" --since {}", quoted(since))).unwrap_or_default();
    let act = Act { command: "retry", done: "retried", options };
    let ids = match given_ids(&act, &arguments.ids, &arguments.filter)? {
        None => {
            if arguments.filter.state.is_some_and(outbox::JobState::is_open) {
                return Err(CommandError::WrongState("only ended jobs can be retried"));
            }
            let now = history::now(pool).await?;
            let filter = selected_by(&arguments.filter, arguments.since.start(now));
            let jobs = select(pool, filter, |job| !job.state.is_open()).await?;
            if jobs.is_empty() {
                let since = super::text::time(arguments.since.start(now));
                return Err(CommandError::NoSuchJob(format!("no ended job since {since} matches the filter")));
            }
            let mut plan = Vec::with_capacity(jobs.len());
            for job in jobs {
                let refusal = retries::refusal(pool, job.id).await?;
                plan.push((job, refusal));
            }
            if !arguments.act.yes {
                return print_plan(&act, &arguments.filter, &arguments.act, &plan, now);
            }
            plan.into_iter().filter(|(_, refusal)| refusal.is_none()).map(|(job, _)| job.id).collect()
        }
        Some(ids) => ids.to_vec(),
    };
    run(pool, &act, arguments, &ids).await
}

async fn run(pool: &PgPool, act: &Act, arguments: &RetryArguments, ids: &[JobId]) -> Result<(), CommandError> {
    let is_json = arguments.act.format.json;
    let mut outcomes = Vec::with_capacity(ids.len());
    let mut filed = vec![];
    for id in ids {
        let outcome = retries::file(pool, *id, arguments.act.reason.as_deref()).await?;
        if outcome.code == "filed" {
            filed.push(*id);
        } else {
            print_outcome(*id, &outcome, is_json)?;
            outcomes.push(outcome);
        }
    }
    let mut done = 0;
    let mut open: HashSet<JobId> = filed.iter().copied().collect();
    let mut changed_at = Instant::now();
    while !open.is_empty() && changed_at.elapsed() < MAX_WAIT {
        let waiting: Vec<JobId> = filed.iter().filter(|id| open.contains(id)).copied().collect();
        let found = actions::retries(pool, &waiting).await?;
        let mut found: HashMap<JobId, JobRetry> = found.into_iter().map(|retry| (retry.job_id, retry)).collect();
        for id in waiting {
            let Some(outcome) = decided(found.remove(&id)) else { continue };
            open.remove(&id);
            changed_at = Instant::now();
            print_outcome(id, &outcome, is_json)?;
            done += usize::from(outcome.code == "retried");
            outcomes.push(outcome);
        }
        if !open.is_empty() {
            sleep(POLL_INTERVAL).await;
        }
    }
    for id in filed.iter().filter(|id| open.contains(id)) {
        let message = "No api has run the retry yet. The retry will run once an api is running and the mail can be \
                       sent before its deadline.";
        let outcome = ActionOutcome { code: "filed".to_owned(), message: message.to_owned() };
        print_outcome(*id, &outcome, is_json)?;
        outcomes.push(outcome);
    }
    conclude(act, done, &outcomes, is_json)
}

/// The outcome of a filed retry. `None` if no api has decided yet.
fn decided(retry: Option<JobRetry>) -> Option<ActionOutcome> {
    let outcome = |code: &str, message: String| ActionOutcome { code: code.to_owned(), message };
    match retry {
        None => Some(outcome("forgotten", "The person has been forgotten since the retry was filed.".to_owned())),
        Some(JobRetry { new_job_id: Some(new), .. }) => Some(outcome("retried", format!("The new job is {new}."))),
        Some(JobRetry { code: Some(code), message, .. }) => Some(outcome(&code, message.unwrap_or_default())),
        Some(_) => None,
    }
}
