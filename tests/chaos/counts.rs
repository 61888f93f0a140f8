//! A run in one paragraph.

use std::{collections::BTreeMap, fmt::Display};

use crate::{
    evidence::Evidence,
    late_links,
    trouble::{Blow, Kind},
};

impl Evidence {
    pub(crate) fn counts(&self) -> String {
        let answers = tally(self.asked.iter().map(|asked| match &asked.answer {
            Ok(status) => status.to_string(),
            Err(_) => "none".to_owned(),
        }));
        let ends = tally(self.jobs.iter().map(|job| match (job.state.as_str(), &job.code) {
            ("failed" | "superseded" | "expired", Some(code)) => format!("{} ({code})", job.state),
            (state, _) => state.to_owned(),
        }));
        let steps = tally(self.steps.values().flatten().map(|step| format!("{} {}", step.step, step.outcome)));
        let mails: usize = self.mails.values().map(Vec::len).sum();
        let copies = mails - self.mails.len();
        let count = |kind| self.diary.iter().filter(|blow| blow.kind == kind).count();
        let late = self.opened.iter().filter(|(_, outcome)| *outcome != "signed_in").count();
        format!(
            "{} requests ({answers}; {} refused although Postgres was there); {} jobs ({ends}); steps ({steps}); {mails} \
             mails, {copies} of them copies; {} newest links opened, {late} dead, {} of these killed by a call that \
             nobody could stop; {} kills, {} freezes, {} stops, {} crashes of Postgres, {} faults",
            self.asked.len(),
            self.refused_for_nothing(),
            self.jobs.len(),
            self.opened.len(),
            self.newest().filter(|job| self.is_dead(job) && late_links::is_excused(job, self)).count(),
            count(Kind::Kill),
            count(Kind::Freeze),
            count(Kind::Stop),
            count(Kind::PostgresCrash),
            self.faults,
        )
    }

    /// Requests that were refused while Postgres was there all along.
    fn refused_for_nothing(&self) -> usize {
        // What waits for a connection at the end of a crash may be told no a little later.
        const ECHO: f64 = 3.0;
        let crashes: Vec<&Blow> = self.diary.iter().filter(|blow| blow.kind == Kind::PostgresCrash).collect();
        let refused = self.asked.iter().filter(|asked| asked.answer == Ok(503));
        refused
            .filter(|asked| !crashes.iter().any(|crash| crash.from <= asked.answered && crash.to + ECHO >= asked.at))
            .count()
    }
}

fn tally<T: Display>(things: impl Iterator<Item = T>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for thing in things {
        *counts.entry(thing.to_string()).or_default() += 1;
    }
    counts.iter().map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}
