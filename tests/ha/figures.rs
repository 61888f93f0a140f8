//! The measurements of each run, and the table of all runs.

use std::{collections::HashSet, fmt::Write as _};

use tests::record::{Record, moment};

use crate::{
    load::Asked,
    run::Run,
    spans::{joined, total},
    variant::Variant,
};

/// Consecutive refused requests that are at least this many seconds apart belong to different outages.
const PAUSE: f64 = 5.0;
/// A refused request also belongs to an outage if it was answered at most this many seconds before the outage. An
/// outage is measured from the prober's last write, which may succeed shortly after the server has closed the api's
/// sessions.
const TOLERANCE: f64 = 0.5;

/// The measured values of one run.
#[derive(Debug)]
pub(crate) struct Figures {
    pub(crate) way: &'static str,
    pub(crate) disruption: &'static str,
    /// Seconds during which no new connection could write.
    pub(crate) away: f64,
    /// Seconds during which requests were answered with 503.
    pub(crate) refusing: f64,
    pub(crate) refused: usize,
    /// Maximum time, in seconds, from the moment when new connections work again to the last refused request.
    pub(crate) back_after: f64,
    /// Maximum time, in seconds, from the end of an outage to the next mail.
    pub(crate) mails_after: f64,
    /// Maximum time, in seconds, that a caller waited for a response.
    pub(crate) longest_answer: f64,
    pub(crate) accepted: usize,
    pub(crate) lost: usize,
    pub(crate) copies: usize,
    pub(crate) wrong_links: usize,
}

impl Figures {
    /// Returns the figures of one run. `record` covers all runs of the variant.
    pub(crate) fn of(run: &Run, variant: &Variant, record: &Record) -> Self {
        let (asked, outages) = (&run.asked, &run.outages);
        let mut refusals: Vec<f64> = asked.iter().filter(|it| is_refused(it)).map(|it| it.request.answered).collect();
        refusals.sort_by(f64::total_cmp);
        let refused = refusals.len();
        let waits = asked.iter().map(|it| it.request.answered - it.request.at);
        let jobs = record.jobs.iter().filter(|job| run.is_of(&job.recipient));
        Self {
            way: variant.description,
            disruption: run.disruption.description(),
            away: total(outages),
            refusing: total(&joined(refusals, PAUSE)),
            refused,
            back_after: asked.iter().filter(|it| is_refused(it)).map(|it| late(it, run)).fold(0.0, f64::max),
            mails_after: outages.iter().map(|outage| next_mail(record, outage.to)).fold(0.0, f64::max),
            longest_answer: waits.fold(0.0, f64::max),
            accepted: asked.iter().filter(|it| it.request.answer == Ok(200)).count(),
            lost: lost(asked, record),
            copies: jobs.map(|job| record.mails_of(job).len().saturating_sub(1)).sum(),
            wrong_links: record.newest().filter(|job| run.is_of(&job.recipient) && record.is_dead(job)).count(),
        }
    }
}

pub(crate) fn is_refused(asked: &Asked) -> bool {
    asked.request.answer == Ok(503)
}

/// Returns the seconds from the moment when new connections worked again after an outage until a refused request was
/// sent. The outage is the last one before the refusal. The result is infinite if there was no outage.
fn late(refused: &Asked, run: &Run) -> f64 {
    let mut ends = run.outages.iter().zip(&run.settled);
    let last = ends.rfind(|(outage, _)| outage.from - TOLERANCE <= refused.request.answered);
    last.map_or(f64::INFINITY, |(_, settled)| (refused.request.at - settled).max(0.0))
}

fn next_mail(record: &Record, after: f64) -> f64 {
    let mails = record.mails.values().flatten().map(|mail| moment(mail.received) - after);
    mails.filter(|seconds| *seconds > 0.0).fold(f64::INFINITY, f64::min)
}

/// Returns the number of requests that were answered with 200 but have no job.
fn lost(asked: &[Asked], record: &Record) -> usize {
    let jobs: HashSet<&str> = record.jobs.iter().map(|job| job.request_id.as_str()).collect();
    let accepted = asked.iter().filter(|it| it.request.answer == Ok(200));
    accepted.filter(|it| !jobs.contains(it.request.request_id.as_str())).count()
}

/// A Markdown table.
pub(crate) fn table(runs: &[Figures]) -> String {
    let mut table = "\
| path to the primary | disruption | no writable primary | time with 503s | 503s | service back after | next mail after | \
longest response | accepted | lost | duplicate mails | wrong links |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"
    .to_owned();
    for it in runs {
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "| {} | {} | {:.1} s | {:.1} s | {} | {:.1} s | {:.1} s | {:.1} s | {} | {} | {} | {} |",
            it.way,
            it.disruption,
            it.away,
            it.refusing,
            it.refused,
            it.back_after,
            it.mails_after,
            it.longest_answer,
            it.accepted,
            it.lost,
            it.copies,
            it.wrong_links,
        );
    }
    table
}
