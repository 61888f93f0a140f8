//! After the chaos: waits until the queue is drained, sends one more request, and stops the workers.

use std::time::{Duration, Instant};

use sandbox::Program;
use tests::{
    TestSystem,
    record::{AskedRequest, Broken, now},
};
use tokio::time::{interval, timeout};

use crate::{fault_injector::FaultInjector, people, personal::PersonalKind};

/// Maximum time for all jobs to end after the faults have ended.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum time for a worker to exit after SIGTERM. It is twice the sum of SHUTDOWN_SECONDS and the worker's timeout
/// for returning jobs to the queue.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);

const PACE: Duration = Duration::from_millis(250);
/// Makes retries and probes due immediately, so that the test does not have to wait for backoffs. Also releases the
/// operators' retries that an api has taken but not yet decided.
const FORWARD: &str = "
    update email_jobs_open set run_at = clock_timestamp() where state = 'retrying';
    update upstreams set probe_at = clock_timestamp() where stopped_by is not null;
    update email_retries set taken_until = null where state = 'filed';
    notify email_jobs";
/// Number of retries that no api has decided yet, plus the number of open jobs. Jobs of people with a permanent fault
/// ($1) are not counted if they were attempted after $2.
const UNSETTLED: &str = "
    select (select count(*) from email_retries where state = 'filed')
      + (
        select count(*) from email_jobs_open
        where recipient <> all ($1) or coalesce(attempted_at < to_timestamp($2), true)
      )";
const OPEN: &str = "select count(*) from email_jobs_open";
/// Lets the waiting jobs of the recipients in $1 expire: sets their deadlines to the current time.
const TOO_LATE: &str = "
    update email_jobs_open set deadline_at = clock_timestamp()
    where recipient = any ($1) and state in ('queued', 'retrying') and deadline_at > clock_timestamp()";
/// Number of open jobs plus the number of upstreams that are stopped or have suspects.
const UNFINISHED: &str = "
    select (select count(*) from email_jobs_open)
      + (select count(*) from upstreams where stopped_by is not null or suspects <> '{}')";

/// Waits until no job is open, or until the timeout. The last open jobs belong to people with a permanent fault, so
/// this function sets the deadlines of those jobs to the current time. Returns the requests that this function made.
///
/// A refusal becomes final only after a call for another recipient has succeeded. Therefore the refused people make
/// requests first, and then a person without a fault makes one.
pub(crate) async fn drain(system: &TestSystem, injector: &FaultInjector, api: &str) -> Vec<AskedRequest> {
    let began = Instant::now();
    let mut asked = people::ask_refused(api, &injector.personal).await;
    settle(system, injector, began).await;
    asked.push(people::ask_ordinary(api, &injector.personal, 1).await);
    settle(system, injector, began).await;
    settle(system, injector, began).await;
    let faulty: Vec<&str> = injector.personal.permanent(&PersonalKind::ALL).into_iter().collect();
    let mut pace = interval(PACE);
    while began.elapsed() < TIMEOUT && system.scalar::<i64>(OPEN).await != 0 {
        sqlx::query(TOO_LATE).bind(&faulty).execute(&system.admin).await.unwrap();
        pace.tick().await;
    }
    eprintln!("chaos: drained within {:?}", began.elapsed());
    asked
}

/// Waits until all retries are decided, every open job belongs to a person with a permanent fault, and each of these
/// jobs has been attempted since this function was called. Gives up at the timeout.
async fn settle(system: &TestSystem, injector: &FaultInjector, began: Instant) {
    let began_at = now();
    let faulty: Vec<&str> = injector.personal.permanent(&PersonalKind::ALL).into_iter().collect();
    let mut pace = interval(PACE);
    while began.elapsed() < TIMEOUT {
        let unsettled = sqlx::query_scalar(UNSETTLED).bind(&faulty).bind(began_at).fetch_one(&system.admin).await;
        if unsettled.unwrap_or(1_i64) == 0 {
            break;
        }
        system.execute(FORWARD).await;
        pace.tick().await;
    }
}

/// Removes all faults and makes one more request. Its mail must be sent, even if an upstream was stopped or had
/// suspects because of other people's faults.
pub(crate) async fn ask_last(system: &TestSystem, injector: &FaultInjector, api: &str) -> Vec<AskedRequest> {
    system.supabase.faults().clear();
    system.mailgun.faults().clear();
    let began = Instant::now();
    let mut pace = interval(PACE);
    let mut asked = vec![people::ask_ordinary(api, &injector.personal, 0).await];
    while began.elapsed() < TIMEOUT
        && (asked.last().is_some_and(|it| it.answer != Ok(200)) || is_unfinished(system).await)
    {
        system.execute(FORWARD).await;
        pace.tick().await;
        // Repeat a refused request: the api may have refused it because of jobs that have since ended.
        if asked.last().is_some_and(|it| it.answer != Ok(200)) {
            asked.push(people::ask_ordinary(api, &injector.personal, 0).await);
        }
    }
    asked
}

async fn is_unfinished(system: &TestSystem) -> bool {
    system.scalar::<i64>(UNFINISHED).await != 0
}

/// Stops the workers, so that nothing changes any more. Returns a violation for each worker that does not exit.
pub(crate) async fn stop(system: &TestSystem, injector: &FaultInjector) -> Vec<Broken> {
    system.workers.iter().for_each(Program::terminate);
    let mut broken = vec![];
    for worker in system.workers.iter().chain(&injector.ended_workers) {
        if timeout(EXIT_TIMEOUT, worker.wait()).await.is_err() {
            broken.push(Broken::of_all(format!("worker {} did not exit after SIGTERM", worker.pid())));
        }
    }
    broken
}
