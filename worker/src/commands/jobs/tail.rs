//! `magic-link-worker jobs tail`: polls for changes, at most twice a second, and prints each change once.

use std::{
    collections::HashMap,
    io::{Write as _, stdout},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use outbox::{
    JobId, JobListener, PgPool,
    history::{
        self, changes,
        list::{JobFilter, ListedJob},
        story::{self, ReportedEvent, TriedStep},
    },
};
use program::{StopSignals, is_output_closed};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{
    json, sentences,
    text::{Names, json_line, plain, time},
};
use crate::{commands::CommandError, settings::FormatArguments};

/// Shortest time between two polls. After this time, a notification of new jobs starts the next poll immediately.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// Longest time between two polls.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// How far back each poll looks. The polls overlap, because a row becomes visible only when its transaction commits, a
/// little later than its timestamp.
const LOOK_BACK: TimeDelta = TimeDelta::seconds(15);
/// Maximum number of recent jobs that are printed at the start.
const FIRST: usize = 10;

/// Prints changes until the command is interrupted, for example with Ctrl-C, or the output is closed.
pub(super) async fn tail(pool: &PgPool, format: FormatArguments) -> Result<(), CommandError> {
    let mut signals = StopSignals::new()?;
    let listener = JobListener::start(pool);
    let started_at = history::now(pool).await?;
    let mut tail = Tail {
        pool,
        json: format.json,
        names: Names { all: format.addresses, known: None },
        started_at,
        seen: HashMap::new(),
        recipients: HashMap::new(),
    };
    tail.print_first().await?;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            () = async {
                sleep(SHORTEST_WAIT).await;
                listener.wait(LONGEST_WAIT.saturating_sub(SHORTEST_WAIT)).await;
            } => {}
        }
        if is_output_closed() {
            return Ok(());
        }
        tail.poll().await?;
    }
}

/// A change to a job, with the values that distinguish it from all other changes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Change {
    New(JobId),
    End(JobId),
    Step(JobId, DateTime<Utc>, String),
    Event(JobId, DateTime<Utc>, String),
}

struct Tail<'a> {
    pool: &'a PgPool,
    json: bool,
    names: Names,
    started_at: DateTime<Utc>,
    /// The changes that were printed or skipped, each with the time of the last poll that read it.
    seen: HashMap<Change, DateTime<Utc>>,
    /// The recipients of recent jobs, in full or masked. Each entry contains the time when the job was created or
    /// looked up, and is dropped one day after that time.
    recipients: HashMap<JobId, (String, DateTime<Utc>)>,
}

/// A line of output: a change to a job, or one of the recent jobs at the start.
struct Line {
    at: DateTime<Utc>,
    kind: &'static str,
    job: JobId,
    text: String,
    details: Value,
}

impl Tail<'_> {
    /// Prints the most recent jobs in their current state.
    async fn print_first(&mut self) -> Result<(), CommandError> {
        // Mark the changes before the start as seen, so that they are not printed. Read them before the jobs below, so
        // that a change during this function is still printed.
        drop(self.changes(self.started_at - LOOK_BACK, self.started_at).await?);
        let filter = JobFilter::since(self.started_at - TimeDelta::days(1));
        let mut jobs = history::list::list(self.pool, &filter, FIRST).await?.jobs;
        jobs.reverse();
        for job in &jobs {
            self.remember(job);
            self.seen.insert(Change::New(job.id), self.started_at);
            let text = sentences::state(job.state, job.delivery) + &why(job);
            let line =
                Line { at: job.created_at, kind: "job", job: job.id, text, details: json::listed(job, &self.names) };
            self.print(&line)?;
        }
        Ok(())
    }

    /// Prints all changes since the last poll.
    async fn poll(&mut self) -> Result<(), CommandError> {
        let now = history::now(self.pool).await?;
        let since = now - LOOK_BACK;
        let lines = self.changes(since, now).await?;
        for line in &lines {
            self.print(line)?;
        }
        // Remember steps for longer than other changes, because each poll reads all steps of a job that may still
        // change.
        let forget = now - LOOK_BACK * 4;
        self.seen.retain(|change, at| *at >= forget || matches!(change, Change::Step(..)));
        self.seen.retain(|_, at| *at >= now - TimeDelta::days(1));
        self.recipients.retain(|_, (_, at)| *at >= now - TimeDelta::days(1));
        Ok(())
    }

    /// Reads the changes that happened after `since`, and for steps also some earlier ones. Returns those that have not
    /// been seen before, in chronological order.
    async fn changes(&mut self, since: DateTime<Utc>, now: DateTime<Utc>) -> Result<Vec<Line>, CommandError> {
        let mut lines = vec![];
        for job in changes::requested(self.pool, since).await? {
            self.remember(&job);
            if self.is_new(Change::New(job.id), now) {
                lines.push(self.requested(&job));
            }
        }
        let ended = changes::ended(self.pool, since, now).await?;
        let mut tried = changes::attempted(self.pool, since - LOOK_BACK).await?;
        tried.extend(ended.iter().map(|job| job.id));
        for step in story::steps(self.pool, &tried, self.started_at - LOOK_BACK).await? {
            if self.is_new(Change::Step(step.job_id, step.started_at, step.step.clone()), now) {
                lines.push(tried_step(&step));
            }
        }
        for job in ended {
            self.remember(&job);
            if self.is_new(Change::End(job.id), now) {
                lines.push(self.ended(&job));
            }
        }
        for event in changes::reported(self.pool, since, now).await? {
            if self.is_new(Change::Event(event.job_id, event.received_at, event.event.clone()), now) {
                lines.push(reported(&event));
            }
        }
        lines.sort_by_key(|line| line.at);
        self.learn_recipients(&lines, now).await?;
        Ok(lines)
    }

    fn requested(&self, job: &ListedJob) -> Line {
        let portal = job.portal.as_deref().map(|portal| format!(", portal {}", plain(portal))).unwrap_or_default();
        let text = format!("requested, request id {}{portal}", plain(&job.request_id));
        Line { at: job.created_at, kind: "new", job: job.id, text, details: json::listed(job, &self.names) }
    }

    fn ended(&self, job: &ListedJob) -> Line {
        Line {
            at: job.finished_at.unwrap_or(job.created_at),
            kind: job.state.as_str(),
            job: job.id,
            text: sentences::end(job.state, job.code.as_deref(), job.message.as_deref()),
            details: json::listed(job, &self.names),
        }
    }

    /// Marks a change as seen. Returns true if it had not been seen before.
    fn is_new(&mut self, change: Change, now: DateTime<Utc>) -> bool {
        self.seen.insert(change, now).is_none()
    }

    fn remember(&mut self, job: &ListedJob) {
        self.recipients.insert(job.id, (self.names.show(&job.recipient), job.created_at));
    }

    /// Looks up the recipients of jobs that are not yet in `recipients`, such as jobs created before the command
    /// started.
    async fn learn_recipients(&mut self, lines: &[Line], now: DateTime<Utc>) -> Result<(), CommandError> {
        for line in lines {
            if !self.recipients.contains_key(&line.job)
                && let Some(job) = story::job(self.pool, line.job).await?
            {
                self.recipients.insert(line.job, (self.names.show(&job.recipient), now));
            }
        }
        Ok(())
    }

    fn print(&self, line: &Line) -> Result<(), CommandError> {
        let recipient = self.recipients.get(&line.job).map_or("", |(recipient, _)| recipient);
        let mut out = stdout().lock();
        if self.json {
            let value = json!({
                "at": json::time(line.at),
                "kind": line.kind,
                "job_id": line.job.to_string(),
                "recipient": recipient,
                "details": line.details,
            });
            writeln!(out, "{}", json_line(&value))?;
        } else {
            writeln!(out, "{}  {:<10}  {}  {recipient}  {}", time(line.at), line.kind, line.job, line.text)?;
        }
        Ok(out.flush()?)
    }
}

fn tried_step(step: &TriedStep) -> Line {
    Line {
        at: step.started_at,
        kind: "attempt",
        job: step.job_id,
        text: sentences::step(step),
        details: json::step(step),
    }
}

fn reported(event: &ReportedEvent) -> Line {
    Line {
        at: event.received_at,
        kind: "report",
        job: event.job_id,
        text: sentences::event(event),
        details: json::event(event),
    }
}

fn why(job: &ListedJob) -> String {
    let because = |code: &str| format!(": {}", sentences::because(code, job.message.as_deref()));
    job.code.as_deref().map(because).unwrap_or_default()
}
