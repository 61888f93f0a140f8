//! Injects faults at random, one after another, and records them.

use std::time::Duration;

use outbox::Upstream;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use sandbox::{Fault, FaultKind, Lasts, Program};
use tests::{TestSystem, record::now};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{
    faults,
    gateway::Gateways,
    personal::{PersonalFaults, faults_of},
    run::Run,
};

/// Milliseconds between two faults.
const INTERVAL_MS: std::ops::Range<u64> = 80..220;
/// How long a worker is frozen, in milliseconds, unless it stays frozen until one of its jobs is taken over.
const FREEZE: std::ops::Range<u64> = 1_000..8_000;
/// Maximum time to keep a worker frozen if no other worker takes over one of its jobs: the length of a lease, the wait
/// for the rescue, and time for another worker to start on the job.
const LONGEST_FREEZE: Duration = Duration::from_secs(12);
/// Probability that a frozen worker stays frozen until another worker has taken over one of its jobs. The fencing token
/// must then reject the writes of the frozen worker.
const UNTIL_TAKEN_OVER: f64 = 0.6;
/// Maximum number of temporary faults queued at an upstream that affect everybody. Faults for particular people have a
/// separate limit of the same size.
const MAX_QUEUED: usize = 3;
/// Probability that an injected fault is a refused API key, which opens the breaker.
const KEY_REFUSED: f64 = 0.01;
/// After injecting a refused API key, `fail_calls` adds no other fault for this time.
const QUIET: Duration = Duration::from_secs(4);
/// Probability that `repair` removes a stopped upstream's queued faults.
const REPAIRED: f64 = 0.3;
/// Postgres crashes once in each of these parts of the run (percentages of its duration).
const CRASHES: [std::ops::Range<u32>; 2] = [20..40, 55..80];
/// How long Postgres stays down after each crash, in milliseconds. The second outage is longer than a lease.
const AWAY: [std::ops::Range<u64>; 2] = [100..2_500, 6_000..7_000];
/// Delay of calls to Mailgun around a Postgres crash, in milliseconds.
const SHORT_DELAY: u64 = 300;

/// An injected fault.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) kind: IncidentKind,
    /// The worker's process id, or 0 for Postgres.
    pub(crate) pid: u32,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// A failover begins in this part of the run (percentages of its duration). The failover makes the sessions of both
/// programs and of the operators read-only.
const FAILOVER: std::ops::Range<u32> = 42..54;
/// How long the sessions stay read-only, in milliseconds.
const READ_ONLY: std::ops::Range<u64> = 1_000..3_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IncidentKind {
    Kill,
    Freeze,
    Stop,
    PostgresCrash,
    ReadOnly,
}

#[derive(Debug)]
struct Frozen {
    pid: u32,
    since: f64,
    until: Instant,
    /// The jobs that the worker held. The worker is thawed once another worker holds one of these jobs. Empty if the
    /// worker is frozen for a fixed time.
    jobs: Vec<Uuid>,
}

#[derive(Debug)]
pub(crate) struct FaultInjector {
    rng: StdRng,
    frozen: Vec<Frozen>,
    pub(crate) incidents: Vec<Incident>,
    pub(crate) faults: usize,
    /// `fail_calls` adds no fault before this time.
    quiet_until: Instant,
    /// Workers that were killed or stopped, kept for their logs.
    pub(crate) ended_workers: Vec<Program>,
    pub(crate) personal: PersonalFaults,
    pub(crate) gateways: Gateways,
}

impl FaultInjector {
    /// Creates an injector, and begins the personal faults that are active from the start of the run.
    pub(crate) fn begin(system: &TestSystem, run: &Run) -> Self {
        let mut rng = StdRng::seed_from_u64(run.seed.wrapping_add(2));
        let mut personal = PersonalFaults::choose(run.seed);
        personal.update(system, 0);
        Self {
            frozen: vec![],
            incidents: vec![],
            faults: 0,
            quiet_until: Instant::now(),
            ended_workers: vec![],
            personal,
            gateways: Gateways::plan(&mut rng, run.time),
            rng,
        }
    }

    /// Injects faults for the given time.
    pub(crate) async fn run(&mut self, system: &mut TestSystem, time: Duration) {
        let begin = Instant::now();
        let mut crashes = CRASHES.map(|part| time * self.rng.random_range(part) / 100).into_iter().zip(AWAY).peekable();
        let mut failover = Some(time * self.rng.random_range(FAILOVER) / 100);
        while begin.elapsed() < time {
            self.thaw_when_taken_over(system).await;
            self.thaw(system, Instant::now());
            self.personal.update(system, percent(begin.elapsed(), time));
            let stopped = stopped(system).await;
            self.fail_behind_a_gateway(system, begin.elapsed(), &stopped).await;
            self.fail_calls(system, &stopped);
            if let Some((_, away)) = crashes.next_if(|(at, _)| begin.elapsed() > *at) {
                self.crash_postgres(system, away).await;
            }
            if failover.take_if(|at| begin.elapsed() > *at).is_some() {
                self.make_read_only(system).await;
            }
            match self.rng.random_range(0..100) {
                0..5 => self.kill(system).await,
                5..15 => self.freeze(system).await,
                15..19 => self.stop(system).await,
                _ => {}
            }
            sleep(Duration::from_millis(self.rng.random_range(INTERVAL_MS))).await;
        }
    }

    /// Ends all faults except permanent personal ones, and thaws all workers.
    pub(crate) fn end_faults(&mut self, system: &TestSystem) {
        self.gateways.end(system, &self.personal);
        for service in [system.supabase.faults(), system.mailgun.faults()] {
            service.retain(|fault| self.personal.is_permanent_fault(fault));
        }
        let last = self.frozen.iter().map(|frozen| frozen.until).max();
        self.thaw(system, last.unwrap_or_else(Instant::now));
    }

    /// Ends the current gateway fault if its time is over, and begins the next one if it is due. A gateway fault begins
    /// only while neither upstream is stopped, so that calls are in flight.
    async fn fail_behind_a_gateway(&mut self, system: &TestSystem, since: Duration, stopped: &[Upstream]) {
        self.gateways.end_if_over(system, &self.personal);
        if stopped.is_empty() && self.gateways.begin_if_due(system, &self.personal, &mut self.rng, since).await {
            self.faults += 1;
        }
    }

    /// Adds a fault to a random upstream, or calls `repair` if the upstream is stopped. In rare cases, the fault is a
    /// refused API key, which is added even to a stopped upstream. Adds no fault before `quiet_until`, and none that
    /// could not apply soon: because many faults are already queued, or because a gateway fault or a personal fault
    /// would apply instead.
    fn fail_calls(&mut self, system: &TestSystem, stopped: &[Upstream]) {
        let upstreams = [Upstream::Supabase, Upstream::Mailgun];
        let upstream = upstreams[self.rng.random_range(0..upstreams.len())];
        if Instant::now() < self.quiet_until {
            return;
        }
        if self.gateways.current().is_none() && self.rng.random_bool(KEY_REFUSED) {
            // Remove the other faults. Each probe that meets one of them would delay the next probe, and sending would
            // stay paused for too long.
            upstreams.iter().for_each(|it| faults_of(system, *it).retain(|fault| self.personal.is_personal(fault)));
            self.quiet_until = Instant::now() + QUIET;
            self.faults += 1;
            return faults_of(system, upstream).add(faults::key_refused(&mut self.rng));
        }
        if stopped.contains(&upstream) {
            return self.repair(system, upstream);
        }
        let fault = faults::any(&mut self.rng);
        if self.gateways.current() == Some(upstream) || self.is_never_met(&fault) {
            return;
        }
        let service = faults_of(system, upstream);
        let is_alike = |waiting: &Fault| waiting.lasts != Lasts::Always && waiting.to.is_some() == fault.to.is_some();
        if service.list().iter().filter(|waiting| is_alike(waiting)).count() < MAX_QUEUED {
            service.add(fault);
            self.faults += 1;
        }
    }

    /// Sometimes removes the queued faults that affect everybody. A check call meets such a fault without using it up,
    /// so a stopped upstream would never recover while the fault is queued.
    fn repair(&mut self, system: &TestSystem, upstream: Upstream) {
        if self.rng.random_bool(REPAIRED) {
            faults_of(system, upstream).retain(|fault| fault.lasts == Lasts::Always || fault.to.is_some());
        }
    }

    /// Whether a fault affects a person with a personal fault, which could apply instead.
    fn is_never_met(&self, fault: &Fault) -> bool {
        fault.to.as_ref().is_some_and(|to| self.personal.kind_of(to).is_some())
    }

    async fn kill(&mut self, system: &mut TestSystem) {
        let Some(worker) = self.pick(system) else { return };
        worker.kill();
        self.note(IncidentKind::Kill, worker.pid(), now());
        self.replace(system, worker).await;
    }

    /// Stops a worker with SIGTERM. If the worker is frozen, thaws it so that it handles the signal.
    async fn stop(&mut self, system: &mut TestSystem) {
        let Some(worker) = self.pick(system) else { return };
        worker.terminate();
        worker.thaw();
        self.note(IncidentKind::Stop, worker.pid(), now());
        self.replace(system, worker).await;
    }

    /// Removes a random worker from the system and returns it. Never picks a worker that is kept frozen until a
    /// takeover.
    fn pick(&mut self, system: &mut TestSystem) -> Option<Program> {
        let awaited: Vec<u32> = self.frozen.iter().filter(|it| !it.jobs.is_empty()).map(|it| it.pid).collect();
        let workers = system.workers.iter().enumerate();
        let others: Vec<usize> =
            workers.filter(|(_, it)| !awaited.contains(&it.pid())).map(|(which, _)| which).collect();
        Some(system.workers.remove(*others.choose(&mut self.rng)?))
    }

    async fn replace(&mut self, system: &mut TestSystem, worker: Program) {
        let thawed = self.frozen.extract_if(.., |frozen| frozen.pid == worker.pid()).collect::<Vec<_>>();
        thawed.iter().for_each(|frozen| self.note(IncidentKind::Freeze, frozen.pid, frozen.since));
        self.ended_workers.push(worker);
        system.start_worker().await;
    }

    async fn freeze(&mut self, system: &TestSystem) {
        let worker = &system.workers[self.rng.random_range(0..system.workers.len())];
        let time = Duration::from_millis(self.rng.random_range(FREEZE));
        // Leave at least one worker that can take over.
        let until_taken_over = self.rng.random_bool(UNTIL_TAKEN_OVER) && self.frozen.len() + 1 < system.workers.len();
        let worker = if until_taken_over { busiest(system).await.unwrap_or(worker) } else { worker };
        if self.frozen.iter().any(|frozen| frozen.pid == worker.pid()) {
            return;
        }
        worker.freeze();
        let since = now();
        if until_taken_over {
            self.until_taken_over(system, worker.pid(), since).await;
        } else {
            self.frozen.push(Frozen { pid: worker.pid(), since, until: Instant::now() + time, jobs: vec![] });
        }
    }

    /// Keeps a worker frozen until another worker has taken over one of its jobs, but at most for [`LONGEST_FREEZE`]. A
    /// worker without jobs is frozen only briefly.
    async fn until_taken_over(&mut self, system: &TestSystem, pid: u32, since: f64) {
        let held = held_by(system, pid).await;
        for (_, recipient) in held.iter().filter(|(_, recipient)| self.personal.kind_of(recipient).is_none()) {
            let slow = Fault::from(FaultKind::Delay { millis: faults::LONGEST_DELAY }).to(recipient).times(2);
            system.supabase.faults().add(slow.clone());
            system.mailgun.faults().add(slow);
        }
        let longest = if held.is_empty() { Duration::ZERO } else { LONGEST_FREEZE };
        let jobs = held.into_iter().map(|(job, _)| job).collect();
        self.frozen.push(Frozen { pid, since, until: Instant::now() + longest, jobs });
    }

    /// Marks a frozen worker as due to thaw if another worker has taken over one of its jobs.
    async fn thaw_when_taken_over(&mut self, system: &TestSystem) {
        for frozen in &mut self.frozen {
            if !frozen.jobs.is_empty() && taken_over(system, frozen).await {
                frozen.until = Instant::now();
            }
        }
    }

    /// Thaws the workers that are due to thaw at `time` or earlier.
    fn thaw(&mut self, system: &TestSystem, time: Instant) {
        for frozen in self.frozen.extract_if(.., |frozen| frozen.until <= time).collect::<Vec<_>>() {
            system.workers.iter().filter(|worker| worker.pid() == frozen.pid).for_each(Program::thaw);
            self.note(IncidentKind::Freeze, frozen.pid, frozen.since);
        }
    }

    async fn make_read_only(&mut self, system: &TestSystem) {
        let from = now();
        let roles = ["magic_link_api", "magic_link_worker", "magic_link_operator"];
        for role in roles {
            system.execute(&format!("alter role {role} set default_transaction_read_only = on")).await;
        }
        system
            .execute("select pg_terminate_backend(pid) from pg_stat_activity where usename like 'magic_link_%'")
            .await;
        sleep(Duration::from_millis(self.rng.random_range(READ_ONLY))).await;
        for role in roles {
            system.execute(&format!("alter role {role} reset default_transaction_read_only")).await;
        }
        self.note(IncidentKind::ReadOnly, 0, from);
    }

    async fn crash_postgres(&mut self, system: &TestSystem, away: std::ops::Range<u64>) {
        let (server, from) = (system.server.as_ref().unwrap(), now());
        // Delay calls to Mailgun, so that some mails are accepted while no result can be recorded.
        system.mailgun.faults().add(Fault::from(FaultKind::Delay { millis: SHORT_DELAY }).times(20));
        sleep(Duration::from_millis(SHORT_DELAY / 2)).await;
        server.halt().await;
        sleep(Duration::from_millis(self.rng.random_range(away))).await;
        let worker = &system.workers[self.rng.random_range(0..system.workers.len())];
        let is_new = self.frozen.iter().all(|frozen| frozen.pid != worker.pid());
        worker.freeze();
        let since = now();
        server.resume().await.unwrap();
        self.note(IncidentKind::PostgresCrash, 0, from);
        if is_new {
            self.until_taken_over(system, worker.pid(), since).await;
        }
    }

    fn note(&mut self, kind: IncidentKind, pid: u32, from: f64) {
        self.incidents.push(Incident { kind, pid, from, to: now() });
    }
}

/// The stopped upstreams.
async fn stopped(system: &TestSystem) -> Vec<Upstream> {
    let stopped = "select name from upstreams where stopped_by is not null";
    sqlx::query_scalar(stopped).fetch_all(&system.admin).await.unwrap()
}

fn percent(elapsed: Duration, time: Duration) -> u32 {
    u32::try_from(elapsed.as_millis() * 100 / time.as_millis().max(1)).unwrap_or(u32::MAX)
}

/// The worker that holds the most jobs.
async fn busiest(system: &TestSystem) -> Option<&Program> {
    let busiest = "select split_part(worker, ':', 2) from email_jobs_open where state = 'running'
                   group by 1 order by count(*) desc limit 1";
    let pid: Option<String> = sqlx::query_scalar(busiest).fetch_optional(&system.admin).await.unwrap();
    system.workers.iter().find(|worker| Some(worker.pid().to_string()) == pid)
}

/// A worker's running jobs and their recipients.
async fn held_by(system: &TestSystem, pid: u32) -> Vec<(Uuid, String)> {
    let held = "select id, recipient from email_jobs_open where state = 'running' and split_part(worker, ':', 2) = $1";
    sqlx::query_as(held).bind(pid.to_string()).fetch_all(&system.admin).await.unwrap()
}

async fn taken_over(system: &TestSystem, frozen: &Frozen) -> bool {
    let others = "select exists (
        select from email_jobs_open where state = 'running' and split_part(worker, ':', 2) <> $1 and id = any($2))";
    sqlx::query_scalar(others).bind(frozen.pid.to_string()).bind(&frozen.jobs).fetch_one(&system.admin).await.unwrap()
}
