//! What a run left behind, gathered once all is over: everything that the promises are checked against.

use std::{
    collections::{BTreeMap, HashMap},
    time::{SystemTime, UNIX_EPOCH},
};

use sandbox::{LinkCall, Mail, Program, SendCall};
use sqlx::FromRow;
use tests::TestSystem;

use crate::{
    gateway::GatewayFault,
    people::AskedRequest,
    personal::PersonalFaults,
    trouble::{Blow, Disturbance, Kind},
};

/// A row of `email_jobs`.
#[derive(Clone, Debug, Default, FromRow)]
pub(crate) struct JobFacts {
    pub(crate) id: String,
    pub(crate) seq: i64,
    pub(crate) recipient: String,
    pub(crate) callback_url: String,
    pub(crate) request_id: String,
    pub(crate) state: String,
    pub(crate) code: Option<String>,
    pub(crate) attempt: i16,
    pub(crate) link_made_at: Option<f64>,
    /// When it was last claimed.
    pub(crate) attempted_at: Option<f64>,
    /// When an upstream first refused it in a way that may concern its recipient only.
    pub(crate) refused_at: Option<f64>,
    /// Infinite while it is open.
    pub(crate) ended: f64,
    /// Whether a lease or a link is on it.
    pub(crate) holds_something: bool,
    /// All of it but the link, for its story.
    pub(crate) row: String,
}

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
    pub(crate) asked: Vec<AskedRequest>,
    /// In the order of acceptance.
    pub(crate) jobs: Vec<JobFacts>,
    /// By job, in order.
    pub(crate) steps: HashMap<String, Vec<StepFacts>>,
    /// By job, in order.
    pub(crate) mails: HashMap<String, Vec<Mail>>,
    /// By recipient, in order.
    pub(crate) link_calls: HashMap<String, Vec<LinkCall>>,
    /// By job, in order.
    pub(crate) send_calls: HashMap<String, Vec<SendCall>>,
    /// What became of the link of each recipient's newest job, by job, where that was sent.
    pub(crate) opened: HashMap<String, String>,
    pub(crate) diary: Vec<Blow>,
    pub(crate) faults: usize,
    pub(crate) personal: PersonalFaults,
    pub(crate) gateway_faults: Vec<GatewayFault>,
    pub(crate) upstreams: Vec<UpstreamFacts>,
    /// Of every program that ever ran, by name and process id.
    pub(crate) logs: Vec<(String, Vec<String>)>,
}

const JOBS: &str = "
    select
      id::text, seq, recipient, callback_url, request_id, state, code, attempt,
      extract(epoch from link_created_at)::float8 as link_made_at,
      extract(epoch from attempted_at)::float8 as attempted_at,
      extract(epoch from refused_at)::float8 as refused_at,
      coalesce(extract(epoch from nullif(finished_at, 'infinity')), 'infinity')::float8 as ended,
      num_nonnulls(lease_token, lease_expires_at, sealed_link) > 0 as holds_something,
      (to_jsonb(email_jobs) - 'sealed_link')::text as row
    from email_jobs
    order by seq";

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
        let jobs: Vec<JobFacts> = sqlx::query_as(JOBS).fetch_all(&system.pool).await.unwrap();
        let steps: Vec<StepFacts> = sqlx::query_as(STEPS).fetch_all(&system.pool).await.unwrap();
        let field = |call: &SendCall| call.field("v:job_id").unwrap_or_default().to_owned();
        let mut evidence = Self {
            asked,
            jobs,
            steps: by(steps, |step| step.job_id.clone()),
            mails: by(system.mailgun.mails(), |mail| mail.variable("job_id").unwrap_or_default().to_owned()),
            link_calls: by(system.supabase.journal(), |call| call.email.clone()),
            send_calls: by(system.mailgun.journal(), field),
            opened: HashMap::new(),
            logs: logs(system, &trouble),
            upstreams: sqlx::query_as(UPSTREAMS).fetch_all(&system.pool).await.unwrap(),
            diary: trouble.diary,
            faults: trouble.faults,
            personal: trouble.personal,
            gateway_faults: trouble.gateways.past,
        };
        let newest: Vec<JobFacts> = evidence.newest().cloned().collect();
        for job in newest.iter().filter(|job| job.state == "sent") {
            if let Some(link) = evidence.mails_of(job).first().and_then(Mail::link) {
                let outcome = system.supabase.verify(link).await.unwrap();
                evidence.opened.insert(job.id.clone(), outcome.code);
            }
        }
        evidence
    }

    /// The newest job of each recipient. A double click stands for the job that it repeats.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &JobFacts> {
        let newest: BTreeMap<&str, &JobFacts> = self
            .jobs
            .iter()
            .filter(|job| job.code.as_deref() != Some("duplicate"))
            .map(|job| (job.recipient.as_str(), job))
            .collect();
        newest.into_values()
    }

    pub(crate) fn steps_of(&self, job: &JobFacts) -> &[StepFacts] {
        self.steps.get(&job.id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn mails_of(&self, job: &JobFacts) -> &[Mail] {
        self.mails.get(&job.id).map_or(&[], Vec::as_slice)
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

/// Every program's log.
fn logs(system: &TestSystem, trouble: &Disturbance) -> Vec<(String, Vec<String>)> {
    let named = |name: &'static str| move |program: &Program| (format!("{name} {}", program.pid()), program.log());
    let workers = system.workers.iter().chain(&trouble.gone).map(named("worker"));
    system.apis.iter().map(named("api")).chain(workers).collect()
}

fn by<T>(things: Vec<T>, key: impl Fn(&T) -> String) -> HashMap<String, Vec<T>> {
    let mut groups: HashMap<String, Vec<T>> = HashMap::new();
    for thing in things {
        groups.entry(key(&thing)).or_default().push(thing);
    }
    groups
}

/// Seconds since 1970, on the one clock that the programs, the stand-ins and Postgres share here.
pub(crate) fn now() -> f64 {
    moment(SystemTime::now())
}

pub(crate) fn moment(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}
