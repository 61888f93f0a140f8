//! `magic-link-worker jobs show`: prints the history of one job.

use std::io::{Write as _, stdout};

use chrono::{DateTime, Utc};
use outbox::{
    JobId, PgPool,
    history::{
        self,
        list::JobFilter,
        story::{self, JobDetails},
    },
};
use serde_json::json;

use super::{
    advice::advice,
    json,
    next::{advice_line, next},
    related::Story,
    sentences,
    text::{Names, json_line, quoted, time},
};
use crate::{
    commands::CommandError,
    settings::{DEFAULT_SINCE, ShowArguments, Target},
};

/// Prints the history of one job, what will happen to it next, and the advice for its code.
pub(super) async fn show(pool: &PgPool, arguments: &ShowArguments) -> Result<(), CommandError> {
    let now = history::now(pool).await?;
    let found = find(pool, arguments, now).await?;
    let known = match &arguments.target {
        Target::Person(address) => Some(address.clone()),
        Target::Id(_) | Target::Request(_) => None,
    };
    let names = Names { all: arguments.format.addresses, known };
    let story = Story::of(pool, found.job, now).await?;
    let others = found.others.as_ref();
    let text = if arguments.format.json { as_json(&story, others, &names) } else { as_text(&story, others, &names) };
    stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}

/// The job to show.
struct Found {
    job: JobDetails,
    others: Option<Others>,
}

/// The other jobs for the same person or the same request.
struct Others {
    number: i64,
    /// What the jobs have in common, such as "for this person in the last day".
    whose: &'static str,
    /// Whether there may be more jobs than `number`.
    is_least: bool,
    /// The command that lists the jobs for the person or the request.
    list: String,
}

async fn find(pool: &PgPool, arguments: &ShowArguments, now: DateTime<Utc>) -> Result<Found, CommandError> {
    match &arguments.target {
        Target::Person(address) => of_person(pool, address, now).await,
        Target::Request(request_id) => of_request(pool, request_id, arguments, now).await,
        Target::Id(id) => match story::job(pool, *id).await? {
            Some(job) => Ok(Found { job, others: None }),
            None => of_request(pool, &id.to_string(), arguments, now).await,
        },
    }
}

async fn of_person(pool: &PgPool, address: &str, now: DateTime<Utc>) -> Result<Found, CommandError> {
    let nothing = || CommandError::NoSuchJob(format!("there is no job for {address} in the history"));
    let newest = story::newest_of(pool, address, now).await?.ok_or_else(nothing)?;
    let job = story::job(pool, newest.id).await?.ok_or_else(nothing)?;
    let others = Others {
        number: newest.others,
        whose: "for this person in the last day",
        is_least: false,
        list: format!("magic-link-worker jobs list --recipient {}", quoted(address)),
    };
    Ok(Found { job, others: Some(others).filter(|others| others.number > 0) })
}

/// Maximum number of jobs to count for one request.
const MOST_OF_REQUEST: usize = 10;

async fn of_request(
    pool: &PgPool,
    request_id: &str,
    arguments: &ShowArguments,
    now: DateTime<Utc>,
) -> Result<Found, CommandError> {
    let since = arguments.since.start(now);
    let filter = JobFilter { request_id: Some(request_id.to_owned()), ..JobFilter::since(since) };
    let page = history::list::list(pool, &filter, MOST_OF_REQUEST).await?;
    let nothing = || {
        let searched = time(page.searched_to.unwrap_or(since));
        CommandError::NoSuchJob(format!(
            "there is no job {request_id}, and no request with this id since {searched}. To search further back, use \
             jobs list --request-id with a longer --since"
        ))
    };
    let newest: JobId = page.jobs.first().ok_or_else(nothing)?.id;
    let job = story::job(pool, newest).await?.ok_or_else(nothing)?;
    let number = i64::try_from(page.jobs.len().saturating_sub(1)).unwrap_or(i64::MAX);
    let mut list = format!("magic-link-worker jobs list --request-id {}", quoted(request_id));
    if let Some(since) = arguments.since.unless(DEFAULT_SINCE) {
        list += &format!(" --since {}", quoted(since));
    }
    let others = Others { number, whose: "with this request id", is_least: page.next.is_some(), list };
    Ok(Found { job, others: Some(others).filter(|others| others.number > 0) })
}

fn as_text(story: &Story, others: Option<&Others>, names: &Names) -> String {
    let job = &story.job;
    let mut lines = vec![format!("Job {} for {}", job.id, names.show(&job.recipient)), String::new()];
    lines.extend(sentences::in_order(story).into_iter().map(|(at, told)| format!("{}  {told}", time(at))));
    let attempts = if job.attempt == 1 { "1 attempt".to_owned() } else { format!("{} attempts", job.attempt) };
    lines.push(String::new());
    lines.push(format!("Now:     {} ({attempts})", sentences::state(job.state, job.delivery)));
    for (index, line) in next(story, names).iter().enumerate() {
        lines.push(format!("{}{line}", if index == 0 { "Next:    " } else { "         " }));
    }
    lines.extend(advice_line(story).map(|advice| format!("Advice:  {advice}")));
    lines.extend(others.map(|others| format!("Others:  {}. To list them: {}", count(others), others.list)));
    lines.join("\n") + "\n"
}

fn count(others: &Others) -> String {
    let least = if others.is_least { "at least " } else { "" };
    let jobs = if others.number == 1 { "1 more job".to_owned() } else { format!("{} more jobs", others.number) };
    format!("{least}{jobs} {}", others.whose)
}

fn as_json(story: &Story, others: Option<&Others>, names: &Names) -> String {
    let advice = story.job.code.as_deref().and_then(advice);
    let value = json!({
        "job": json::details(&story.job, story.callback.as_deref(), names),
        "steps": story.steps.iter().map(json::step).collect::<Vec<_>>(),
        "events": story.events.iter().map(json::event).collect::<Vec<_>>(),
        "next": next(story, names),
        "advice": advice.map(|advice| json!({ "then": advice.then, "text": advice.text, "place": advice.place })),
        "replaced_by": story.replaced_by.as_ref().map(|other| json!({
            "id": other.id.to_string(),
            "request_id": other.request_id,
            "created_at": json::time(other.created_at),
        })),
        "actions": story.actions.iter().map(json::action).collect::<Vec<_>>(),
        "retry": story.retry.as_ref().map(json::retry),
        "retry_of": story.retry_of.as_ref().map(|retry| retry.job_id.to_string()),
        "pauses": story.pauses.iter().map(|pause| pause.target.as_str()).collect::<Vec<_>>(),
        "suppressed_until": story.suppression.as_ref().map(|suppression| json::time(suppression.until)),
        "other_jobs": others.map_or(0, |others| others.number),
    });
    json_line(&value) + "\n"
}
