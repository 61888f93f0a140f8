//! Everything that a run left behind. The promises are checked against it.

use std::{collections::HashMap, ops::Deref};

use sandbox::{LinkCall, Program, SendCall};
use sqlx::FromRow;
use tests::{
    TestSystem,
    record::{AskedRequest, JobFacts, Record, by},
};

use crate::{
    fault_injector::{FaultInjector, Incident, IncidentKind},
    gateway::GatewayFault,
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

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) record: Record,
    /// The steps of each job, in order.
    pub(crate) steps: HashMap<String, Vec<StepFacts>>,
    /// The calls for each recipient, in order.
    pub(crate) link_calls: HashMap<String, Vec<LinkCall>>,
    /// The calls for each job, in order.
    pub(crate) send_calls: HashMap<String, Vec<SendCall>>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) faults: usize,
    pub(crate) personal: PersonalFaults,
    pub(crate) gateway_faults: Vec<GatewayFault>,
    pub(crate) upstreams: Vec<UpstreamFacts>,
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

impl Evidence {
    pub(crate) async fn gather(system: &TestSystem, asked: Vec<AskedRequest>, injector: FaultInjector) -> Self {
        let steps: Vec<StepFacts> = sqlx::query_as(STEPS).fetch_all(&system.admin).await.unwrap();
        let field = |call: &SendCall| call.field("v:job_id").unwrap_or_default().to_owned();
        Self {
            record: Record::gather(system, asked).await,
            steps: by(steps, |step| step.job_id.clone()),
            link_calls: by(system.supabase.journal(), |call| call.email.clone()),
            send_calls: by(system.mailgun.journal(), field),
            logs: logs(system, &injector),
            upstreams: sqlx::query_as(UPSTREAMS).fetch_all(&system.admin).await.unwrap(),
            incidents: injector.incidents,
            faults: injector.faults,
            personal: injector.personal,
            gateway_faults: injector.gateways.past,
        }
    }

    pub(crate) fn steps_of(&self, job: &JobFacts) -> &[StepFacts] {
        self.steps.get(&job.id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn link_calls_for(&self, recipient: &str) -> &[LinkCall] {
        self.link_calls.get(recipient).map_or(&[], Vec::as_slice)
    }

    /// Whether a step's worker was frozen at some time in this interval.
    pub(crate) fn was_frozen(&self, worker: &str, from: f64, to: f64) -> bool {
        // A worker's name is host:pid:start.
        let pid = worker.rsplit(':').nth(1).and_then(|pid| pid.parse().ok());
        let mut freezes =
            self.incidents.iter().filter(|incident| incident.kind == IncidentKind::Freeze && Some(incident.pid) == pid);
        freezes.any(|freeze| freeze.from <= to && freeze.to >= from)
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
