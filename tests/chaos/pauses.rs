//! During a pause, no job is claimed and no mail is handed to Mailgun.
//!
//! A pause counts from the moment when Postgres has confirmed it to the operator until the pause ends or another action
//! on the same target begins. A statement that had already started might not see the pause, so claims and mails are
//! tolerated for the first [`ALREADY_BEGUN`] seconds.

use outbox::operate::pauses::PauseTarget;
use tests::record::{Broken, JobFacts, moment};

use crate::{
    evidence::Evidence,
    operators::{Act, Deed},
};

/// Claims and mails are tolerated for this many seconds after a pause began, because a worker may have decided on them
/// before. A frozen worker's mails are tolerated even later.
const ALREADY_BEGUN: f64 = 0.5;

/// The period of a pause, in Unix seconds.
#[derive(Debug)]
pub(crate) struct Span {
    target: PauseTarget,
    from: f64,
    to: f64,
    /// Whether the pause expired before an operator acted on the same target again.
    pub(crate) ended_by_itself: bool,
}

impl Span {
    fn contains(&self, at: f64) -> bool {
        self.from < at && at < self.to
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.to - self.from
    }
}

/// The periods in which a pause was certainly in force.
pub(crate) fn spans(evidence: &Evidence) -> Vec<Span> {
    let mut acts: Vec<&Act> =
        evidence.acts.iter().filter(|act| matches!(act.deed, Deed::Pause(..) | Deed::Resume(_))).collect();
    acts.sort_by_key(|act| act.batch);
    let batches: Vec<&[&Act]> = acts.chunk_by(|one, other| one.batch == other.batch).collect();
    let spans = batches.iter().enumerate().filter_map(|(number, batch)| {
        let Deed::Pause(target, _) = &batch[0].deed else { return None };
        let rows = evidence.actions.iter().filter(|row| row.action == "pause");
        let mut begun = rows.filter(|row| batch.iter().any(|act| row.reason.as_ref() == Some(&act.reason))).peekable();
        begun.peek()?;
        // If two pauses began at the same time, use the earlier end, because either pause may have replaced the other.
        let ends_at = begun.filter_map(|row| row.ends_at).fold(f64::INFINITY, f64::min);
        let mut later = batches[number + 1..].iter().copied().flatten();
        let next = later.find(|act| act.deed.object() == target.to_string()).map_or(f64::INFINITY, |act| act.from);
        let from = batch.iter().map(|act| act.to).fold(0.0, f64::max);
        let to = ends_at.min(next);
        (to > from).then(|| Span { target: target.clone(), from, to, ended_by_itself: ends_at < next })
    });
    spans.collect()
}

/// Checks only the last claim of each job, because the times of earlier claims are not recorded.
pub(crate) fn no_job_is_claimed_during_a_pause(evidence: &Evidence) -> Vec<Broken> {
    let late = claims(evidence).filter(|claim| claim.after > ALREADY_BEGUN);
    late.map(|late| Broken::of(late.job, format!("a job was claimed {} s after the start of a pause", late.after)))
        .collect()
}

/// Ignores pauses of Supabase, because they do not hold up mails whose links already exist.
pub(crate) fn no_mail_is_handed_over_during_a_pause(evidence: &Evidence) -> Vec<Broken> {
    let late = mails(evidence).filter(|mail| mail.after > ALREADY_BEGUN);
    late.map(|late| Broken::of(late.job, format!("a mail was handed over {} s after the start of a pause", late.after)))
        .collect()
}

/// A claim or a mail during a pause.
pub(crate) struct During<'a> {
    job: &'a JobFacts,
    /// Seconds since the pause began.
    pub(crate) after: f64,
}

pub(crate) fn claims(evidence: &Evidence) -> impl Iterator<Item = During<'_>> {
    let spans = spans(evidence);
    let claims = evidence.jobs.iter().filter_map(|job| Some((job, job.attempted_at?)));
    claims.filter_map(move |(job, at)| {
        let begun = spans.iter().filter(|span| span.contains(at)).map(|span| at - span.from);
        Some(During { job, after: begun.reduce(f64::max)? })
    })
}

/// The calls to Mailgun during a pause, except those made by frozen workers.
pub(crate) fn mails(evidence: &Evidence) -> impl Iterator<Item = During<'_>> {
    let mut spans = spans(evidence);
    spans.retain(|span| span.target != PauseTarget::Supabase);
    let calls = evidence.jobs.iter().flat_map(|job| evidence.send_calls_of(job).iter().map(move |call| (job, call)));
    calls.filter_map(move |(job, call)| {
        let at = moment(call.at);
        let in_force = spans.iter().filter(|span| span.contains(at));
        let begun =
            in_force.filter(|span| !evidence.was_sender_frozen(job, call, span.from)).map(|span| at - span.from);
        Some(During { job, after: begun.reduce(f64::max)? })
    })
}
