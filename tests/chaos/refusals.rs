//! What refuses one person holds nobody else up, and what refuses everybody ends nobody's job.
//!
//! Not promised: that a fault that refuses half of the people, or comes and goes, is told from a personal one. A job that is
//! refused again after another's success fails, whatever the reason.

use std::collections::HashSet;

use outbox::Upstream;
use tests::record::{Broken, JobFacts, moment};

use crate::{
    evidence::{Evidence, StepFacts},
    gateway::GatewayFault,
    personal::PersonalKind,
};

pub(crate) const HOOK_FAILED: &str = "hook_failed";
/// What single people's faults and gateways lead to.
const REFUSALS: [&str; 5] = [
    "supabase_forbidden",
    "supabase_refused",
    "mailgun_forbidden",
    "mailgun_refused",
    "mailgun_recipient_not_authorized",
];
/// Between a worker's clock and those of the stand-ins and Postgres, and the time of a call's way, in seconds.
const ON_THE_WAY: f64 = 0.02;
/// MAX_ATTEMPTS.
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

/// Somebody else's call began after the job's first refusal and succeeded before its last claim.
pub(crate) fn a_refusal_ends_a_job_after_anothers_success(evidence: &Evidence) -> Vec<Broken> {
    let calls = SuccessfulCalls::of(evidence);
    let unproved = evidence.jobs.iter().filter(|job| was_refused(job) && !calls.are_between(job, evidence));
    unproved.map(|job| Broken::of(job, "a refusal ends a job after another's success")).collect()
}

/// When calls came to a service that were answered with success, and for whom.
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
        let between = refused_at - ON_THE_WAY..claimed_at;
        calls.iter().any(|(at, recipient)| *recipient != job.recipient && between.contains(at))
    }
}

/// A job of somebody without a fault of their own was last refused by a gateway that picked out its recipient, or was refused
/// before the gateway began.
pub(crate) fn what_refuses_everybody_ends_no_job(evidence: &Evidence) -> Vec<Broken> {
    let refused = evidence.jobs.iter().filter(|job| was_refused(job) && evidence.is_ordinary(job));
    let by_one = refused.filter(|job| !evidence.last_gateway(job).is_some_and(|gateway| may_end(gateway, job)));
    by_one.map(|job| Broken::of(job, format!("what refuses everybody ends no job: {:?}", job.code))).collect()
}

fn may_end(gateway: &GatewayFault, job: &JobFacts) -> bool {
    gateway.half.is_some() || job.refused_at.is_some_and(|refused_at| refused_at < gateway.from)
}

impl Evidence {
    /// Whether its recipient has no fault of their own.
    pub(crate) fn is_ordinary(&self, job: &JobFacts) -> bool {
        self.personal.kind_of(&job.recipient).is_none()
    }

    /// The gateway that refused the last call for a job.
    fn last_gateway(&self, job: &JobFacts) -> Option<&GatewayFault> {
        let last = self.steps_of(job).last()?;
        self.gateway_faults.iter().find(|gateway| {
            gateway.upstream == last.upstream()
                && gateway.lasted(last.began, last.ended + ON_THE_WAY)
                && gateway.refused(&job.recipient)
        })
    }
}

/// Jobs of people without a fault of their own neither wait for a hook nor use up their attempts on refusals.
pub(crate) fn ordinary_jobs_lose_nothing(evidence: &Evidence) -> Vec<Broken> {
    let ordinary = evidence.jobs.iter().filter(|job| evidence.is_ordinary(job));
    let lost = ordinary.filter(|job| match job.code.as_deref() {
        Some("attempts_exhausted") => own_failures(job, evidence) < MAX_ATTEMPTS,
        code => code == Some(HOOK_FAILED),
    });
    lost.map(|job| Broken::of(job, format!("a fault that is not theirs costs people no job: {:?}", job.code))).collect()
}

/// Number of steps that failed for another reason than a refusal.
fn own_failures(job: &JobFacts, evidence: &Evidence) -> usize {
    let failed = evidence.steps_of(job).iter().filter(|step| ["retry", "unknown"].contains(&step.outcome.as_str()));
    failed.filter(|step| !is_refusal(step.code.as_deref())).count()
}

/// No mail reaches somebody who is refused for good, and the job says who refused it.
pub(crate) fn who_is_refused_for_good_is_told_why(evidence: &Evidence) -> Vec<Broken> {
    let refused = evidence.personal.for_good(&[PersonalKind::Firewall, PersonalKind::NotAuthorized]);
    let says_why = |job: &JobFacts| match job.state.as_str() {
        "failed" => is_refusal(job.code.as_deref()),
        "expired" => is_refusal(job.code.as_deref()) || job.code.as_deref() == Some("mailgun_on_hold"),
        state => state == "superseded",
    };
    told_otherwise(evidence, &refused, says_why)
}

/// Jobs that a hook holds up end as expired and name it, or are mailed once it works.
pub(crate) fn who_is_held_up_by_a_hook_is_told_so(evidence: &Evidence) -> Vec<Broken> {
    let held_up = evidence.personal.for_good(&[PersonalKind::Hook]);
    let says_so = |job: &JobFacts| match job.state.as_str() {
        "expired" => job.code.as_deref() == Some(HOOK_FAILED),
        state => state == "superseded",
    };
    let mut broken = told_otherwise(evidence, &held_up, says_so);
    let failed = evidence.jobs.iter().filter(|job| job.state == "failed" && job.code.as_deref() == Some(HOOK_FAILED));
    broken.extend(failed.map(|job| Broken::of(job, "a hook that fails ends no job before its deadline")));
    broken
}

fn told_otherwise(evidence: &Evidence, who: &HashSet<&str>, is_told: impl Fn(&JobFacts) -> bool) -> Vec<Broken> {
    let jobs = evidence.jobs.iter().filter(|job| who.contains(job.recipient.as_str()));
    let otherwise = jobs.filter(|job| !(is_told(job) && evidence.mails_of(job).is_empty()));
    otherwise
        .map(|job| Broken::of(job, format!("a person's own fault is told on the job: {} {:?}", job.state, job.code)))
        .collect()
}

/// Only the people with a fault for good wait until their deadlines.
pub(crate) fn only_faults_for_good_let_jobs_expire(evidence: &Evidence) -> Vec<Broken> {
    let for_good = evidence.personal.for_good(&PersonalKind::ALL);
    let expired = evidence.jobs.iter().filter(|job| job.state == "expired");
    let others = expired.filter(|job| !for_good.contains(job.recipient.as_str()));
    others.map(|job| Broken::of(job, "jobs of people without a lasting fault do not expire")).collect()
}

pub(crate) fn nothing_stays_stopped_or_suspected(evidence: &Evidence) -> Vec<Broken> {
    let unwell = evidence.upstreams.iter().filter(|upstream| upstream.stopped_by.is_some() || upstream.suspects > 0);
    unwell.map(|it| Broken::of_all(format!("nothing stays stopped or suspected: {} {it:?}", it.name))).collect()
}
