//! What a run left behind, gathered once all is over: everything that the promises are checked against.

use std::{collections::HashMap, ops::Deref};

use sandbox::{LinkCall, Program, SendCall};
use sqlx::FromRow;
use tests::{
    TestSystem,
    record::{AskedRequest, JobFacts, Record, by},
};

use crate::{
    gateway::GatewayFault,
    personal::PersonalFaults,
    trouble::{Blow, Disturbance, Kind},
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

/// A row of `upstreams` in the end.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct UpstreamFacts {
    pub(crate) name: String,
    pub(crate) stopped_by: Option<String>,
    pub(crate) suspects: i32,
}

#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) record: Record,
    /// By job, in order.
    pub(crate) steps: HashMap<String, Vec<StepFacts>>,
    /// By recipient, in order.
    pub(crate) link_calls: HashMap<String, Vec<LinkCall>>,
    /// By job, in order.
    pub(crate) send_calls: HashMap<String, Vec<SendCall>>,
    pub(crate) diary: Vec<Blow>,
    pub(crate) faults: usize,
    pub(crate) personal: PersonalFaults,
    pub(crate) gateway_faults: Vec<GatewayFault>,
    pub(crate) upstreams: Vec<UpstreamFacts>,
    /// Of every program that ever ran, by name and process id.
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
    pub(crate) async fn gather(system: &TestSystem, asked: Vec<AskedRequest>, trouble: Disturbance) -> Self {
        let steps: Vec<StepFacts> = sqlx::query_as(STEPS).fetch_all(&system.pool).await.unwrap();
        let field = |call: &SendCall| call.field("v:job_id").unwrap_or_default().to_owned();
        Self {
            record: Record::gather(system, asked).await,
            steps: by(steps, |step| step.job_id.clone()),
            link_calls: by(system.supabase.journal(), |call| call.email.clone()),
            send_calls: by(system.mailgun.journal(), field),
            logs: logs(system, &trouble),
            upstreams: sqlx::query_as(UPSTREAMS).fetch_all(&system.pool).await.unwrap(),
            diary: trouble.diary,
            faults: trouble.faults,
            personal: trouble.personal,
            gateway_faults: trouble.gateways.past,
        }
    }

    pub(crate) fn steps_of(&self, job: &JobFacts) -> &[StepFacts] {
        self.steps.get(&job.id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn link_calls_for(&self, recipient: &str) -> &[LinkCall] {
        self.link_calls.get(recipient).map_or(&[], Vec::as_slice)
    }

    /// Whether the worker of a step was frozen at some time between these two.
    pub(crate) fn was_frozen(&self, worker: &str, from: f64, to: f64) -> bool {
        // A worker is called host:pid:start.
        let pid = worker.rsplit(':').nth(1).and_then(|pid| pid.parse().ok());
        let mut freezes = self.diary.iter().filter(|blow| blow.kind == Kind::Freeze && Some(blow.pid) == pid);
        freezes.any(|freeze| freeze.from <= to && freeze.to >= from)
    }
}

impl Deref for Evidence {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

/// Every program's log.
fn logs(system: &TestSystem, trouble: &Disturbance) -> Vec<(String, Vec<String>)> {
    let named = |name: &'static str| move |program: &Program| (format!("{name} {}", program.pid()), program.log());
    let workers = system.workers.iter().chain(&trouble.gone).map(named("worker"));
    system.apis.iter().map(named("api")).chain(workers).collect()
}
