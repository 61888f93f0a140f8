//! Everything that a run left behind. The promises are checked against this evidence.

use std::{collections::HashMap, ops::Deref};

use sandbox::{LinkCall, Program, SendCall};
use sqlx::FromRow;
use tests::{
    TestSystem,
    record::{AskedRequest, JobFacts, Record, by, moment},
};

use crate::{
    fault_injector::{FaultInjector, Incident, IncidentKind},
    gateway::GatewayFault,
    operators::Act,
    personal::PersonalFaults,
};

/// A row of `email_attempts`.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StepFacts {
    pub(crate) job_id: String,
    pub(crate) attempt: i16,
    pub(crate) step: String,
    pub(crate) outcome: String,
    pub(crate) http_status: Option<i16>,
    pub(crate) code: Option<String>,
    pub(crate) began: f64,
    pub(crate) ended: f64,
    pub(crate) worker: String,
}

/// A row of `upstreams` after the run.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct UpstreamFacts {
    pub(crate) name: String,
    pub(crate) stopped_by: Option<String>,
    pub(crate) suspects: i32,
}

/// A row of `operator_actions`.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct ActionFacts {
    pub(crate) action: String,
    /// The id of the job, or the target of the pause.
    pub(crate) object: String,
    pub(crate) reason: Option<String>,
    pub(crate) actor: String,
    /// When a pause was due to end.
    pub(crate) ends_at: Option<f64>,
}

/// A row of `email_retries`.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct RetryFacts {
    pub(crate) job_id: String,
    pub(crate) state: String,
    pub(crate) new_job_id: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) decided_at: Option<f64>,
}

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) record: Record,
    /// The steps of each job, in chronological order.
    pub(crate) steps: HashMap<String, Vec<StepFacts>>,
    /// The calls to Supabase for each recipient, in chronological order.
    pub(crate) link_calls: HashMap<String, Vec<LinkCall>>,
    /// The calls to Mailgun for each job, in chronological order.
    pub(crate) send_calls: HashMap<String, Vec<SendCall>>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) faults: usize,
    pub(crate) personal: PersonalFaults,
    pub(crate) gateway_faults: Vec<GatewayFault>,
    pub(crate) upstreams: Vec<UpstreamFacts>,
    /// The operators' actions, with their outcomes.
    pub(crate) acts: Vec<Act>,
    pub(crate) actions: Vec<ActionFacts>,
    pub(crate) retries: Vec<RetryFacts>,
    /// The logs of all programs that ever ran, by name and process id.
    pub(crate) logs: Vec<(String, Vec<String>)>,
}

const STEPS: &str = "
    select
      job_id::text, attempt, step, outcome, http_status, code, worker,
      extract(epoch from started_at)::float8 as began,
      extract(epoch from started_at)::float8 + duration_ms / 1000.0::float8 as ended
    from email_attempts
    order by started_at";

const UPSTREAMS: &str = "select name, stopped_by, cardinality(suspects) as suspects from upstreams order by name";

const ACTIONS: &str = "
    select action, coalesce(job_id::text, target) as object, reason, actor, extract(epoch from ends_at)::float8 as ends_at
    from operator_actions
    order by id";

const RETRIES: &str = "
    select job_id::text, state, new_job_id::text, code, extract(epoch from decided_at)::float8 as decided_at
    from email_retries
    order by filed_at";

impl Evidence {
    pub(crate) async fn gather(
        system: &TestSystem,
        asked: Vec<AskedRequest>,
        acts: Vec<Act>,
        injector: FaultInjector,
    ) -> Self {
        let steps: Vec<StepFacts> = sqlx::query_as(STEPS).fetch_all(&system.admin).await.unwrap();
        let field = |call: &SendCall| call.field("v:job_id").unwrap_or_default().to_owned();
        Self {
            record: Record::gather(system, asked).await,
            steps: by(steps, |step| step.job_id.clone()),
            link_calls: by(system.supabase.journal(), |call| call.email.clone()),
            send_calls: by(system.mailgun.journal(), field),
            logs: logs(system, &injector),
            acts,
            actions: sqlx::query_as(ACTIONS).fetch_all(&system.admin).await.unwrap(),
            retries: sqlx::query_as(RETRIES).fetch_all(&system.admin).await.unwrap(),
            upstreams: sqlx::query_as(UPSTREAMS).fetch_all(&system.admin).await.unwrap(),
            incidents: injector.incidents,
            faults: injector.faults,
            personal: injector.personal,
            gateway_faults: injector.gateways.past,
        }
    }

    pub(crate) fn job(&self, id: &str) -> Option<&JobFacts> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(crate) fn steps_of(&self, job: &JobFacts) -> &[StepFacts] {
        self.steps.get(&job.id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn link_calls_for(&self, recipient: &str) -> &[LinkCall] {
        self.link_calls.get(recipient).map_or(&[], Vec::as_slice)
    }

    /// Whether this worker was frozen at any time between `from` and `to`.
    pub(crate) fn was_frozen(&self, worker: &str, from: f64, to: f64) -> bool {
        // A worker's name has the form host:pid:start.
        let pid: Option<u32> = worker.rsplit(':').nth(1).and_then(|pid| pid.parse().ok());
        self.had(from, to, |incident| incident.kind == IncidentKind::Freeze && Some(incident.pid) == pid)
    }

    /// Whether an incident that satisfies `is_meant` overlaps the interval from `from` to `to`.
    pub(crate) fn had(&self, from: f64, to: f64, is_meant: impl Fn(&Incident) -> bool) -> bool {
        self.incidents.iter().any(|incident| is_meant(incident) && incident.from <= to && incident.to >= from)
    }

    /// Whether the worker that made this call to Mailgun may have been frozen at any time between `from` and the call.
    /// If the worker was killed before it recorded the call, a freeze of any worker counts.
    pub(crate) fn was_sender_frozen(&self, job: &JobFacts, call: &SendCall, from: f64) -> bool {
        const TOLERANCE: f64 = 0.02;
        let at = moment(call.at);
        let is_its_step =
            |step: &&StepFacts| step.step == "send" && step.began - TOLERANCE <= at && at <= step.ended + TOLERANCE;
        match self.steps_of(job).iter().find(is_its_step) {
            Some(step) => self.was_frozen(&step.worker, from, at),
            None => self.had(from, at, |incident| incident.kind == IncidentKind::Freeze),
        }
    }

    /// The calls to Mailgun for a job, in chronological order.
    pub(crate) fn send_calls_of(&self, job: &JobFacts) -> &[SendCall] {
        self.send_calls.get(&job.id).map_or(&[], Vec::as_slice)
    }
}

impl Deref for Evidence {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// The logs of all programs.
fn logs(system: &TestSystem, injector: &FaultInjector) -> Vec<(String, Vec<String>)> {
    let named = |name: &'static str| move |program: &Program| (format!("{name} {}", program.pid()), program.log());
    let workers = system.workers.iter().chain(&injector.ended_workers).map(named("worker"));
    system.apis.iter().map(named("api")).chain(workers).collect()
}
