//! After the chaos: lets the queue drain, and stops the workers.

use std::time::{Duration, Instant};

use sandbox::Program;
use tests::TestSystem;
use tokio::time::{interval, timeout};

use crate::{promises::Broken, trouble::Disturbance};

/// Longest that everything may take to end once nothing fails any more.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest that a worker may take to end once it is told to: SHUTDOWN_SECONDS, the time to hand back, and as much again.
const LAST_BREATH: Duration = Duration::from_secs(10);

/// What waits is brought forward: the test need not sit out backoffs, nor a breaker's next probe.
const FORWARD: &str = "
    update email_jobs_open set run_at = clock_timestamp() where state = 'retrying';
    update upstreams set probe_at = clock_timestamp() where open_since is not null;
    notify email_jobs";

/// Until no job is open and no worker runs, or patience ends. Tells of what is left.
pub(crate) async fn drain(system: &TestSystem, trouble: &Disturbance) -> Vec<Broken> {
    let began = Instant::now();
    let mut pace = interval(Duration::from_millis(250));
    while began.elapsed() < PATIENCE && system.text("select count(*) from email_jobs_open").await != "0" {
        system.execute(FORWARD).await;
        pace.tick().await;
    }
    eprintln!("chaos: drained within {:?}", began.elapsed());
    // Nothing changes any more once they are gone.
    system.workers.iter().for_each(Program::terminate);
    let mut broken = vec![];
    for worker in system.workers.iter().chain(&trouble.gone) {
        if timeout(LAST_BREATH, worker.wait()).await.is_err() {
            broken.push(Broken::of_all(format!("a worker that is stopped ends: {}", worker.pid())));
        }
    }
    broken
}
