//! If an upstream refuses one person, nobody else's job is delayed. If an upstream refuses everybody, no job fails.
//!
//! The outbox does not promise to distinguish a personal fault from an intermittent fault or from a fault that affects
//! half of the people. If a job is refused again after a call for another recipient has succeeded, the job fails,
//! whatever the reason for the refusals.

use std::collections::HashSet;

use outbox::Upstream;
use tests::record::{Broken, JobFacts, moment};

use crate::{
    evidence::{Evidence, StepFacts},
    gateway::GatewayFault,
    personal::PersonalKind,
};

pub(crate) const HOOK_FAILED: &str = "hook_failed";
/// The codes of calls that a gateway fault or a personal fault refused. They do not include [`HOOK_FAILED`].
const REFUSALS: [&str; 5] = [
    "supabase_forbidden",
    "supabase_refused",
    "mailgun_forbidden",
    "mailgun_refused",
    "mailgun_recipient_not_authorized",
];
/// Tolerance, in seconds, for a call's travel time and for differences between the clocks of a worker, the stand-ins
/// and Postgres.
const TOLERANCE: f64 = 0.02;
/// The default of MAX_ATTEMPTS.
const MAX_ATTEMPTS: usize = 20;

pub(crate) fn is_refusal(code: Option<&str>) -> bool {
    code.is_some_and(|code| REFUSALS.contains(&code))
}

pub(crate) fn was_refused(job: &JobFacts) -> bool {
    job.state == "failed" && is_refusal(job.code.as_deref())
}

impl StepFacts {
    pub(crate) fn upstream(&self) -> Upstream {
        if self.step == "generate_link" { Upstream::Supabase } else { Upstream::Mailgun }
    }
}

/// Jobs that failed as refused although no call for another recipient succeeded between the job's first refusal and its
/// last claim.
pub(crate) fn a_job_fails_as_refused_only_after_anothers_success(evidence: &Evidence) -> Vec<Broken> {
    let calls = SuccessfulCalls::of(evidence);
    let unproved = evidence.jobs.iter().filter(|job| was_refused(job) && !calls.are_between(job, evidence));
    unproved.map(|job| Broken::of(job, "a job failed as refused, but no other recipient's call succeeded")).collect()
}

/// The arrival time and the recipient of each successful call to an upstream.
struct SuccessfulCalls<'a> {
    supabase: Vec<(f64, &'a str)>,
    mailgun: Vec<(f64, &'a str)>,
}

impl<'a> SuccessfulCalls<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let links = evidence.link_calls.values().flatten().filter(|call| call.answered == Some(200));
        let sends = evidence.jobs.iter().flat_map(|job| {
            let calls = evidence.send_calls.get(&job.id).into_iter().flatten();
            calls.filter(|call| call.answered == Some(200)).map(|call| (moment(call.at), job.recipient.as_str()))
        });
        Self { supabase: links.map(|call| (moment(call.at), call.email.as_str())).collect(), mailgun: sends.collect() }
    }

    fn are_between(&self, job: &JobFacts, evidence: &Evidence) -> bool {
        let (Some(last), Some(refused_at), Some(claimed_at)) =
            (evidence.steps_of(job).last(), job.refused_at, job.attempted_at)
        else {
            return false;
        };
        let calls = if last.upstream() == Upstream::Supabase { &self.supabase } else { &self.mailgun };
        let between = refused_at - TOLERANCE..claimed_at;
        calls.iter().any(|(at, recipient)| *recipient != job.recipient && between.contains(at))
    }
}

/// Jobs that failed as refused although their recipients have no personal fault. Such a failure is allowed if the
/// gateway fault that refused the job's last call affects only half of the people, or began after the job's first
/// refusal.
pub(crate) fn general_faults_fail_no_job(evidence: &Evidence) -> Vec<Broken> {
    let refused = evidence.jobs.iter().filter(|job| was_refused(job) && evidence.is_ordinary(job));
    let by_one = refused.filter(|job| !evidence.last_gateway(job).is_some_and(|gateway| may_end(gateway, job)));
    by_one.map(|job| Broken::of(job, format!("a job failed because of a general fault: {:?}", job.code))).collect()
}

fn may_end(gateway: &GatewayFault, job: &JobFacts) -> bool {
    gateway.half.is_some() || job.refused_at.is_some_and(|refused_at| refused_at < gateway.from)
}

impl Evidence {
    /// Whether the job's recipient has no personal fault.
    pub(crate) fn is_ordinary(&self, job: &JobFacts) -> bool {
        self.personal.kind_of(&job.recipient).is_none()
    }

    /// The gateway fault that refused the job's last call.
    fn last_gateway(&self, job: &JobFacts) -> Option<&GatewayFault> {
        let last = self.steps_of(job).last()?;
        self.gateway_faults.iter().find(|gateway| {
            gateway.upstream == last.upstream()
                && gateway.lasted(last.began, last.ended + TOLERANCE)
                && gateway.refused(&job.recipient)
        })
    }
}

/// Jobs of people without a personal fault neither wait for a hook nor use up their attempts on refusals.
pub(crate) fn faults_of_others_cost_no_job(evidence: &Evidence) -> Vec<Broken> {
    let ordinary = evidence.jobs.iter().filter(|job| evidence.is_ordinary(job));
    let lost = ordinary.filter(|job| match job.code.as_deref() {
        Some("attempts_exhausted") => own_failures(job, evidence) < MAX_ATTEMPTS,
        code => code == Some(HOOK_FAILED),
    });
    lost.map(|job| Broken::of(job, format!("a job failed because of another person's fault: {:?}", job.code))).collect()
}

/// Number of steps that failed for a reason other than a refusal.
fn own_failures(job: &JobFacts, evidence: &Evidence) -> usize {
    let failed = evidence.steps_of(job).iter().filter(|step| ["retry", "unknown"].contains(&step.outcome.as_str()));
    failed.filter(|step| !is_refusal(step.code.as_deref())).count()
}

/// A permanently refused person gets no mail, and the job's code gives the reason, unless the job is superseded or
/// cancelled.
pub(crate) fn permanently_refused_jobs_end_with_the_reason(evidence: &Evidence) -> Vec<Broken> {
    let refused = evidence.personal.permanent(&[PersonalKind::Firewall, PersonalKind::NotAuthorized]);
    let says_why = |job: &JobFacts| match job.state.as_str() {
        "failed" => is_refusal(job.code.as_deref()),
        "expired" => is_refusal(job.code.as_deref()) || job.code.as_deref() == Some("mailgun_on_hold"),
        state => ["superseded", "cancelled"].contains(&state),
    };
    jobs_with_another_end(evidence, &refused, says_why)
}

/// Jobs of people for whom a hook always fails expire with the hook's code, unless the jobs are superseded or
/// cancelled. No job fails because of a hook.
pub(crate) fn jobs_held_up_by_a_hook_end_with_the_reason(evidence: &Evidence) -> Vec<Broken> {
    let held_up = evidence.personal.permanent(&[PersonalKind::Hook]);
    let says_so = |job: &JobFacts| match job.state.as_str() {
        "expired" => job.code.as_deref() == Some(HOOK_FAILED),
        state => ["superseded", "cancelled"].contains(&state),
    };
    let mut broken = jobs_with_another_end(evidence, &held_up, says_so);
    let failed = evidence.jobs.iter().filter(|job| job.state == "failed" && job.code.as_deref() == Some(HOOK_FAILED));
    broken.extend(failed.map(|job| Broken::of(job, "a job failed because of a hook, before its deadline")));
    broken
}

fn jobs_with_another_end(evidence: &Evidence, who: &HashSet<&str>, is_told: impl Fn(&JobFacts) -> bool) -> Vec<Broken> {
    let jobs = evidence.jobs.iter().filter(|job| who.contains(job.recipient.as_str()));
    let otherwise = jobs.filter(|job| !(is_told(job) && evidence.mails_of(job).is_empty()));
    otherwise
        .map(|job| {
            let promise = "a mail was sent despite the fault, or the job's code does not show the fault";
            Broken::of(job, format!("{promise}: {} {:?}", job.state, job.code))
        })
        .collect()
}

/// Only jobs of people with a permanent fault may expire.
pub(crate) fn only_permanent_faults_let_jobs_expire(evidence: &Evidence) -> Vec<Broken> {
    let permanent = evidence.personal.permanent(&PersonalKind::ALL);
    let expired = evidence.jobs.iter().filter(|job| job.state == "expired");
    let others = expired.filter(|job| !permanent.contains(job.recipient.as_str()));
    others.map(|job| Broken::of(job, "a job expired although its recipient had no permanent fault")).collect()
}

pub(crate) fn no_upstream_stays_stopped_or_suspected(evidence: &Evidence) -> Vec<Broken> {
    let unsettled = evidence.upstreams.iter().filter(|upstream| upstream.stopped_by.is_some() || upstream.suspects > 0);
    unsettled.map(|it| Broken::of_all(format!("{} is still stopped or has suspects: {it:?}", it.name))).collect()
}
