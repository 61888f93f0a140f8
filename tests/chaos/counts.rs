//! Summarises a run in one paragraph.

use std::{collections::BTreeMap, fmt::Display};

use tests::record::{Broken, JobFacts};

use crate::{
    evidence::Evidence,
    fault_injector::{Incident, IncidentKind},
    late_links, logs,
    operators::{Act, Deed, Outcome},
    pauses::{self, During},
    personal::PersonalKind,
    refusals::{HOOK_FAILED, is_refusal, was_refused},
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
        let count = |kind| self.incidents.iter().filter(|incident| incident.kind == kind).count();
        let late = self.opened.iter().filter(|(_, outcome)| *outcome != "signed_in").count();
        format!(
            "{} requests ({answers}; {} refused although Postgres was up); {} jobs ({ends}); steps ({steps}); {mails} \
             mails, {copies} of them copies; {} newest links opened, {late} of them dead, {} of the dead links \
             invalidated by a call that no worker could stop; {} kills, {} freezes, {} stops, {} crashes of Postgres, \
             {} read-only failovers, {} faults; {}; {}",
            self.asked.len(),
            self.refused_while_postgres_was_up(),
            self.jobs.len(),
            self.opened.len(),
            self.newest().filter(|job| self.is_dead(job) && late_links::is_excused(job, self)).count(),
            count(IncidentKind::Kill),
            count(IncidentKind::Freeze),
            count(IncidentKind::Stop),
            count(IncidentKind::PostgresCrash),
            count(IncidentKind::ReadOnly),
            self.faults,
            self.counts_of_refusals(),
            self.counts_of_operators(),
        )
    }

    fn counts_of_operators(&self) -> String {
        let outcomes = |action: &'static str| {
            tally(self.acts.iter().filter(|act| act.deed.action() == action).map(|act| match &act.outcome {
                Outcome::Answered(outcome) => {
                    let job = self.job(&act.deed.object());
                    let has_link = outcome.code == "cancelled" && job.is_some_and(|job| job.link_made_at.is_some());
                    format!("{}{}", outcome.code, if has_link { " with a link" } else { "" })
                }
                Outcome::LookedUp { took_effect, .. } => {
                    format!("unanswered{}", if *took_effect { " but effective" } else { "" })
                }
            }))
        };
        let retries = tally(self.retries.iter().map(|retry| match &retry.code {
            Some(code) => format!("{} ({code})", retry.state),
            None => retry.state.clone(),
        }));
        let spans = pauses::spans(self);
        let seconds: f64 = spans.iter().map(pauses::Span::seconds).sum();
        let last = |during: Vec<During<'_>>| during.iter().map(|it| it.after).fold(0.0, f64::max);
        let errors = tally(self.acts.iter().filter_map(|act| match &act.outcome {
            Outcome::LookedUp { error, .. } => Some(error),
            Outcome::Answered(_) => None,
        }));
        format!(
            "operators: cancellations ({}); retries filed ({}) and decided by apis ({retries}); pauses ({}), \
             {seconds:.0} s in total; resumes ({}); latest claim during a pause {:.3} s after its start, latest mail \
             {:.3} s; errors of unanswered actions: {errors}",
            outcomes("cancel"),
            outcomes("retry"),
            outcomes("pause"),
            outcomes("resume"),
            last(pauses::claims(self).collect()),
            last(pauses::mails(self).collect()),
        )
    }

    fn counts_of_refusals(&self) -> String {
        let of_people = tally(self.jobs.iter().filter_map(|job| {
            let kind = self.personal.kind_of(&job.recipient)?;
            Some(match &job.code {
                Some(code) => format!("{kind:?} {} ({code})", job.state),
                None => format!("{kind:?} {}", job.state),
            })
        }));
        let others = self.jobs.iter().filter(|job| self.is_ordinary(job) && was_refused(job)).count();
        let refused = tally(self.refusals());
        let stops = tally(logs::stops(self).map(|line| logs::field(line, "code")));
        let gateways = tally(self.gateway_faults.iter().map(|it| {
            format!("{} {}", it.upstream.as_str(), if it.half.is_some() { "for half" } else { "for everybody" })
        }));
        format!(
            "gateway faults ({gateways}); refused steps ({refused}); jobs of people with a personal fault \
             ({of_people}); {others} jobs of other people failed as refused; stops ({stops}), {} recoveries",
            logs::resumes(self).count(),
        )
    }

    /// The code of each step that was refused, or that failed because of a hook.
    fn refusals(&self) -> impl Iterator<Item = &str> {
        let codes = self.steps.values().flatten().filter_map(|step| step.code.as_deref());
        codes.filter(|code| *code == HOOK_FAILED || is_refusal(Some(code)))
    }

    /// Returns the situations that did not occur in the run. The run proves nothing about these situations.
    pub(crate) fn not_reached(&self) -> Vec<Broken> {
        let has = |kind, ends: fn(&JobFacts) -> bool| {
            self.jobs.iter().any(|job| self.personal.kind_of(&job.recipient) == kind && ends(job))
        };
        let answered = |code: &str| self.acts.iter().any(|act| act.code() == Some(code));
        let cancelled = |with_link: bool| {
            let mut waiting = self.acts.iter().filter(|act| act.code() == Some("cancelled"));
            waiting.any(|act| {
                let job = self.job(&act.deed.object());
                job.is_some_and(|job| job.link_made_at.is_some() == with_link)
            })
        };
        let mut decided = self.retries.iter().map(|retry| retry.state.as_str());
        let is_at_once = |one: &Act, other: &Act| {
            one.deed == other.deed
                && one.batch == other.batch
                && one.reason != other.reason
                && matches!(one.deed, Deed::Cancel(_))
        };
        let met = [
            ("a waiting job without a link is cancelled", cancelled(false)),
            ("a waiting job with a link is cancelled", cancelled(true)),
            ("a running job is cancelled", answered("cancelling")),
            ("a cancellation is refused because the mail may be on its way", answered("may_be_sent")),
            (
                "two actions cancel the same job at the same time",
                self.acts.windows(2).any(|acts| is_at_once(&acts[0], &acts[1])),
            ),
            ("a retry is accepted", decided.any(|state| state == "accepted")),
            ("a retry is refused because the person has requested another link", answered("asked_again")),
            ("a retry is refused because the mail may have arrived", answered("may_have_arrived")),
            ("an operator ends a pause", answered("resumed")),
            (
                "a pause runs out before an operator ends it",
                pauses::spans(self).iter().any(|span| span.ended_by_itself),
            ),
            ("an operator's action gets no answer", self.acts.iter().any(|act| act.code().is_none())),
            ("a firewall makes a job fail", has(Some(PersonalKind::Firewall), was_refused)),
            ("Mailgun refuses a recipient permanently", has(Some(PersonalKind::NotAuthorized), was_refused)),
            ("a hook delays a job", has(Some(PersonalKind::Hook), |job| job.code.as_deref() == Some(HOOK_FAILED))),
            ("a hook works again", has(Some(PersonalKind::Hook), |job| job.state == "sent")),
            ("a gateway refuses everybody", self.was_refused_by_gateway(false)),
            ("a gateway refuses half of the people", self.was_refused_by_gateway(true)),
            ("an upstream is stopped", logs::stops(self).next().is_some()),
            ("an upstream is resumed", logs::resumes(self).next().is_some()),
        ];
        let not_reached = met.into_iter().filter(|(_, is_met)| !is_met);
        not_reached
            .map(|(what, _)| Broken::of_all(format!("the run was too short, because this did not happen: {what}")))
            .collect()
    }

    /// Whether a gateway fault of this kind (for half of the people, or for everybody) refused a person who has no
    /// personal fault.
    fn was_refused_by_gateway(&self, is_half: bool) -> bool {
        let ordinary = self.jobs.iter().filter(|job| self.is_ordinary(job));
        let mut steps = ordinary.flat_map(|job| self.steps_of(job)).filter(|step| is_refusal(step.code.as_deref()));
        steps.any(|step| {
            let mut gateways = self.gateway_faults.iter().filter(|gateway| gateway.half.is_some() == is_half);
            gateways.any(|gateway| gateway.upstream == step.upstream() && gateway.lasted(step.began, step.ended))
        })
    }

    /// Number of requests that were refused although Postgres was up.
    fn refused_while_postgres_was_up(&self) -> usize {
        // A request that waits for a connection may still be refused shortly after Postgres is back.
        const GRACE_SECONDS: f64 = 3.0;
        let crashes: Vec<&Incident> = self
            .incidents
            .iter()
            .filter(|incident| [IncidentKind::PostgresCrash, IncidentKind::ReadOnly].contains(&incident.kind))
            .collect();
        let refused = self.asked.iter().filter(|asked| asked.answer == Ok(503));
        refused
            .filter(|asked| {
                !crashes.iter().any(|crash| crash.from <= asked.answered && crash.to + GRACE_SECONDS >= asked.at)
            })
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
