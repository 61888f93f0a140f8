//! After the chaos: lets the queue drain, lets somebody ask once more, and stops the workers.

use std::time::{Duration, Instant};

use sandbox::Program;
use tests::{
    TestSystem,
    record::{AskedRequest, Broken, now},
};
use tokio::time::{interval, timeout};

use crate::{people, personal::PersonalKind, trouble::Disturbance};

/// Longest that everything may take to end once nothing fails any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest that a worker may take to end once it is told to: SHUTDOWN_SECONDS, the time to hand back, and as much again.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// What waits is brought forward: the test need not sit out backoffs, nor the next probe of a stopped upstream.
const FORWARD: &str = "
    update email_jobs_open set run_at = clock_timestamp() where state = 'retrying';
    update upstreams set probe_at = clock_timestamp() where stopped_by is not null;
    notify email_jobs";
/// Jobs that are open, but for those of people ($1) who have a fault for good, once these were tried again since $2.
const UNSETTLED: &str = "
    select count(*) from email_jobs_open
    where recipient <> all ($1) or coalesce(attempted_at < to_timestamp($2), true)";
const OPEN: &str = "select count(*) from email_jobs_open";
/// The deadlines of people's ($1) jobs pass.
const TOO_LATE: &str = "
    update email_jobs_open set deadline_at = clock_timestamp()
    where recipient = any ($1) and state in ('queued', 'retrying') and deadline_at > clock_timestamp()";
const UNWELL: &str = "
    select (select count(*) from email_jobs_open)
      + (select count(*) from upstreams where stopped_by is not null or suspects <> '{}')";

/// Until no job is open, or patience ends. The last ones are those of people who have a fault for good: their deadlines pass.
pub(crate) async fn drain(system: &TestSystem, trouble: &Disturbance) {
    let (began, began_at) = (Instant::now(), now());
    let faulty: Vec<&str> = trouble.personal.for_good(&PersonalKind::ALL).into_iter().collect();
    let mut pace = interval(Duration::from_millis(250));
    while began.elapsed() < PATIENCE {
        let unsettled = sqlx::query_scalar(UNSETTLED).bind(&faulty).bind(began_at).fetch_one(&system.pool).await;
        if unsettled.unwrap_or(1_i64) == 0 {
            break;
        }
        system.execute(FORWARD).await;
        pace.tick().await;
    }
    while began.elapsed() < PATIENCE && system.text(OPEN).await != "0" {
        sqlx::query(TOO_LATE).bind(&faulty).execute(&system.pool).await.unwrap();
        pace.tick().await;
    }
    eprintln!("chaos: drained within {:?}", began.elapsed());
}

/// With no fault left at all, somebody asks: what others' faults have stopped or brought under suspicion goes on.
pub(crate) async fn ask_last(system: &TestSystem, trouble: &Disturbance, api: &str) -> Vec<AskedRequest> {
    system.supabase.faults().clear();
    system.mailgun.faults().clear();
    let began = Instant::now();
    let mut pace = interval(Duration::from_millis(250));
    let mut asked = vec![people::ask_last(api, &trouble.personal).await];
    while began.elapsed() < PATIENCE && (asked.last().is_some_and(|it| it.answer != Ok(200)) || is_unwell(system).await)
    {
        system.execute(FORWARD).await;
        pace.tick().await;
        // An api may have counted the jobs that were late.
        if asked.last().is_some_and(|it| it.answer != Ok(200)) {
            asked.push(people::ask_last(api, &trouble.personal).await);
        }
    }
    asked
}

async fn is_unwell(system: &TestSystem) -> bool {
    system.text(UNWELL).await != "0"
}

/// Stops the workers: nothing changes any more once they are gone. Tells of those that do not end.
pub(crate) async fn stop(system: &TestSystem, trouble: &Disturbance) -> Vec<Broken> {
    system.workers.iter().for_each(Program::terminate);
    let mut broken = vec![];
    for worker in system.workers.iter().chain(&trouble.gone) {
        if timeout(LAST_BREATH, worker.wait()).await.is_err() {
            broken.push(Broken::of_all(format!("a worker that is stopped ends: {}", worker.pid())));
        }
    }
    broken
}
