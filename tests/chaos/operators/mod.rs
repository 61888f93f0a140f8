//! Operators who cancel jobs, retry jobs and pause mail at random while faults are injected. They call the same
//! functions as the commands of `magic-link-worker`.

mod cancels;
mod operator;
mod pauses;
mod retries;

pub(crate) use operator::{Act, Deed, Outcome};
use tests::TestSystem;
use tokio::{task::JoinHandle, time::Instant};

use self::operator::Operator;
use crate::run::Run;

/// Starts three operators: one cancels jobs, one retries jobs, and one pauses mail. When the run's time is over, they
/// stop, and all pauses that are still active are ended. The returned task yields the operators' actions.
pub(crate) fn begin(system: &TestSystem, run: Run) -> JoinHandle<Vec<Act>> {
    let end = Instant::now() + run.time;
    let cancels = cancels::run(Operator::new(system, "cancels", run.seed.wrapping_add(4)), end);
    let retries = retries::run(Operator::new(system, "retries", run.seed.wrapping_add(5)), end);
    let pauses = pauses::run(Operator::new(system, "pauses", run.seed.wrapping_add(6)), end);
    tokio::spawn(async move {
        let (cancels, retries, pauses) = tokio::join!(cancels, retries, pauses);
        [cancels, retries, pauses].concat()
    })
}
