//! `magic-link-worker jobs list`: lists jobs, the newest first.

use std::io::{Write as _, stderr, stdout};

use chrono::{DateTime, Utc};
use outbox::{
    DeliveryStatus, JobId, JobState, PgPool,
    history::{
        self,
        list::{JobFilter, ListedJob, Page},
    },
};

use super::{
    json,
    table::{Column, WHOLE, table},
    text::{Names, json_line, plain, quoted, span, time},
};
use crate::{
    commands::CommandError,
    settings::{DEFAULT_SINCE, FilterArguments, ListArguments},
};

const COLUMNS: [Column; 8] = [
    Column { heading: "AGE", narrowest: WHOLE },
    Column { heading: "STATE", narrowest: WHOLE },
    Column { heading: "DELIVERY", narrowest: WHOLE },
    Column { heading: "ATTEMPTS", narrowest: WHOLE },
    Column { heading: "CODE", narrowest: 14 },
    Column { heading: "PORTAL", narrowest: 6 },
    Column { heading: "RECIPIENT", narrowest: 16 },
    Column { heading: "REQUEST ID", narrowest: 36 },
];

/// Prints one page of jobs and, if there is a next page, the command for it. With `--json`, that command goes to
/// stderr.
pub(super) async fn list(pool: &PgPool, arguments: &ListArguments) -> Result<(), CommandError> {
    let now = history::now(pool).await?;
    let page = history::list::list(pool, &filter(arguments, now), arguments.limit.into()).await?;
    let names = Names { all: arguments.format.addresses, known: arguments.filter.recipient.clone() };
    let next = page.next.map(|before| next_page(arguments, before));
    let mut out = stdout().lock();
    if arguments.format.json {
        for job in &page.jobs {
            writeln!(out, "{}", json_line(&json::listed(job, &names)))?;
        }
        if let Some(next) = next {
            // Ignore errors: if stderr is closed, nobody needs this hint.
            writeln!(stderr(), "{}{next}", searched(&page)).ok();
        }
        return Ok(());
    }
    if page.jobs.is_empty() {
        writeln!(out, "No job matches.")?;
    } else {
        let rows: Vec<Vec<String>> = page.jobs.iter().map(|job| row(job, now, &names)).collect();
        write!(out, "{}", table(&COLUMNS, &rows))?;
    }
    if let Some(next) = next {
        writeln!(out, "\n{}{next}", searched(&page))?;
    }
    Ok(())
}

fn filter(arguments: &ListArguments, now: DateTime<Utc>) -> JobFilter {
    JobFilter { before: arguments.before, ..selected_by(&arguments.filter, arguments.since.start(now)) }
}

/// The filter that the arguments describe.
pub(super) fn selected_by(arguments: &FilterArguments, since: DateTime<Utc>) -> JobFilter {
    JobFilter {
        state: arguments.state,
        delivery: arguments.delivery,
        code: arguments.code.clone(),
        portal: arguments.portal.clone(),
        recipient: arguments.recipient.clone(),
        domain: arguments.domain.clone(),
        request_id: arguments.request_id.clone(),
        ..JobFilter::since(since)
    }
}

fn row(job: &ListedJob, now: DateTime<Utc>, names: &Names) -> Vec<String> {
    vec![
        span(now - job.created_at),
        job.state.as_str().to_owned(),
        job.delivery.map(DeliveryStatus::as_str).unwrap_or_default().to_owned(),
        job.attempt.to_string(),
        plain(job.code.as_deref().unwrap_or_default()),
        plain(job.portal.as_deref().unwrap_or_default()),
        names.show(&job.recipient),
        plain(&job.request_id),
    ]
}

/// The text before the command for the next page. If the search stopped before it filled the page, the text includes
/// how far back the search got.
fn searched(page: &Page) -> String {
    match page.searched_to {
        Some(reached) => format!("Searched only as far back as {}. To continue: ", time(reached)),
        None => "Next page: ".to_owned(),
    }
}

/// The command that prints the next page.
fn next_page(arguments: &ListArguments, before: JobId) -> String {
    let mut command = format!("magic-link-worker jobs list{}", as_written(&arguments.filter));
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            command += &format!(" --{name} {}", quoted(value));
        }
    };
    add("since", arguments.since.unless(DEFAULT_SINCE));
    add("limit", Some(arguments.limit.to_string().as_str()).filter(|limit| *limit != "50"));
    add("before", Some(&before.to_string()));
    if arguments.format.json {
        command += " --json";
    }
    if arguments.format.addresses {
        command += " --addresses";
    }
    command
}

/// The filter as command-line options, with a leading space.
pub(super) fn as_written(filter: &FilterArguments) -> String {
    let options = [
        ("state", filter.state.map(JobState::as_str)),
        ("code", filter.code.as_deref()),
        ("portal", filter.portal.as_deref()),
        ("recipient", filter.recipient.as_deref()),
        ("domain", filter.domain.as_deref()),
        ("request-id", filter.request_id.as_deref()),
        ("delivery", filter.delivery.map(DeliveryStatus::as_str)),
    ];
    let given = options.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", quoted(value?))));
    given.collect()
}
