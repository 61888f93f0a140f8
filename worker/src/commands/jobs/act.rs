//! What `jobs cancel` and `jobs retry` have in common: how they select jobs, and how they print the outcome.

use std::io::{Write as _, stdout};

use chrono::{DateTime, Utc};
use outbox::{
    JobId, PgPool,
    history::list::{JobFilter, ListedJob, list},
    operate::actions::ActionOutcome,
};
use serde_json::json;

use super::{
    list::as_written,
    table::{Column, WHOLE, table},
    text::{Names, json_line, plain, quoted, span},
};
use crate::{
    commands::CommandError,
    settings::{ActArguments, FilterArguments},
};

const COLUMNS: [Column; 6] = [
    Column { heading: "JOB", narrowest: WHOLE },
    Column { heading: "AGE", narrowest: WHOLE },
    Column { heading: "STATE", narrowest: WHOLE },
    Column { heading: "CODE", narrowest: 14 },
    Column { heading: "RECIPIENT", narrowest: 16 },
    Column { heading: "WOULD BE", narrowest: WHOLE },
];

/// Maximum number of jobs that one command selects.
const MOST: usize = 10_000;
/// Maximum number of jobs that one statement lists.
const PAGE: usize = 500;

/// A command that changes jobs.
pub(super) struct Act {
    /// The command's name, as in `magic-link-worker jobs cancel`.
    pub(super) command: &'static str,
    /// Past participle that describes a job after the command succeeds, such as `cancelled`.
    pub(super) done: &'static str,
    /// Options of the command in addition to the filter, with a leading space.
    pub(super) options: String,
}

/// The ids that the operator gave, or `None` if a filter selects the jobs.
pub(super) fn given_ids<'a>(
    act: &Act,
    ids: &'a [JobId],
    filter: &FilterArguments,
) -> Result<Option<&'a [JobId]>, CommandError> {
    match (ids, filter.is_empty()) {
        ([], true) => Err(CommandError::NothingSelected(act.command)),
        ([], false) => Ok(None),
        (ids, true) => Ok(Some(ids)),
        (_, false) => Err(CommandError::IdsAndFilter),
    }
}

/// The jobs that a filter selects and `is_wanted` accepts, the newest first.
pub(super) async fn select(
    pool: &PgPool,
    mut filter: JobFilter,
    is_wanted: impl Fn(&ListedJob) -> bool,
) -> Result<Vec<ListedJob>, CommandError> {
    let mut selected = vec![];
    loop {
        let page = list(pool, &filter, PAGE).await?;
        selected.extend(page.jobs.into_iter().filter(&is_wanted));
        if selected.len() > MOST {
            return Err(CommandError::TooManyJobs(MOST));
        }
        match page.next {
            Some(next) => filter.before = Some(next),
            None => return Ok(selected),
        }
    }
}

/// Prints what the command would do. In `jobs`, the outcome is `Some` for each job that the command would not change,
/// and contains the reason.
pub(super) fn print_plan(
    act: &Act,
    filter: &FilterArguments,
    arguments: &ActArguments,
    jobs: &[(ListedJob, Option<ActionOutcome>)],
    now: DateTime<Utc>,
) -> Result<(), CommandError> {
    let names = Names { all: arguments.format.addresses, known: filter.recipient.clone() };
    let mut out = stdout().lock();
    if arguments.format.json {
        for (job, refusal) in jobs {
            let line = json!({
                "id": job.id.to_string(),
                "state": job.state.as_str(),
                "code": job.code,
                "recipient": names.show(&job.recipient),
                "would_be": refusal.as_ref().map_or(act.done, |refusal| refusal.code.as_str()),
            });
            writeln!(out, "{}", json_line(&line))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> =
        jobs.iter().map(|(job, refusal)| row(act, job, refusal.as_ref(), &names, now)).collect();
    write!(out, "{}", table(&COLUMNS, &rows))?;
    let count = jobs.iter().filter(|(_, refusal)| refusal.is_none()).count();
    if count == 0 {
        writeln!(out, "\nNone of these jobs would be {}.", act.done)?;
        return Ok(());
    }
    let mut command = format!("magic-link-worker jobs {}{}{}", act.command, as_written(filter), act.options);
    if let Some(reason) = &arguments.reason {
        command += &format!(" --reason {}", quoted(reason));
    }
    let jobs = if count == 1 { "this job".to_owned() } else { format!("these {count} jobs") };
    writeln!(out, "\nNothing has been done yet. To {} {jobs}: {command} --yes", act.command)?;
    Ok(())
}

fn row(act: &Act, job: &ListedJob, refusal: Option<&ActionOutcome>, names: &Names, now: DateTime<Utc>) -> Vec<String> {
    vec![
        job.id.to_string(),
        span(now - job.created_at),
        job.state.as_str().to_owned(),
        plain(job.code.as_deref().unwrap_or_default()),
        names.show(&job.recipient),
        refusal.map_or_else(|| act.done.to_owned(), |refusal| format!("left alone: {}", refusal.code)),
    ]
}

/// Prints what happened to one job.
pub(super) fn print_outcome(id: JobId, outcome: &ActionOutcome, is_json: bool) -> Result<(), CommandError> {
    let mut out = stdout().lock();
    if is_json {
        let line = json!({ "id": id.to_string(), "outcome": outcome.code, "message": outcome.message });
        writeln!(out, "{}", json_line(&line))?;
    } else {
        writeln!(out, "{id}  {}: {}", plain(&outcome.code), plain(&outcome.message))?;
    }
    Ok(())
}

/// Prints how many of the jobs were changed, unless there was only one job or the output is JSON. Fails if any job was
/// not changed.
pub(super) fn conclude(act: &Act, done: usize, outcomes: &[ActionOutcome], is_json: bool) -> Result<(), CommandError> {
    let all = outcomes.len();
    if !is_json && all > 1 {
        writeln!(stdout().lock(), "{done} of {all} jobs were {}.", act.done)?;
    }
    match outcomes {
        [only] if only.code == "not_found" => Err(CommandError::NoSuchJob(only.message.clone())),
        _ if done < all => Err(CommandError::NotDone),
        _ => Ok(()),
    }
}
