//! Claims as many jobs as there are free slots, and starts their deliveries. The loop claims after a notification, when
//! a slot becomes free, when a retry is due, when a pause ends or a probe is due, and at least once a second.

use std::{sync::Arc, time::Duration};

use outbox::{ClaimOptions, ClaimedJob, Error, JobListener, QueueCursor, upstreams};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use crate::{deliver::context::DeliveryRun, metrics, runtime::worker::Worker};

/// Maximum time between two claims, in case a notification is lost.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// How often to check whether results can be recorded again.
const UNREADY_INTERVAL: Duration = Duration::from_millis(100);

/// Minimum wait after a claim that returned no jobs, unless a notification arrives. Prevents a busy loop while a due
/// job cannot be claimed because another worker holds a lock on it.
const MIN_WAIT: Duration = Duration::from_millis(20);

/// Minimum time between two searches for due retries while claims keep finding jobs.
const PROMOTE_INTERVAL: Duration = Duration::from_millis(50);

/// Claims and delivers jobs until the worker must stop. Then waits for the running deliveries, and interrupts them
/// after `SHUTDOWN_SECONDS`.
pub(crate) async fn run(worker: &Arc<Worker>) {
    let listener = Arc::new(JobListener::start(&worker.pool));
    let slots = Arc::new(Semaphore::new(worker.limits.concurrency));
    let mut claimer = Claimer { worker, cursor: QueueCursor::default(), promoted_at: None };
    let deliveries = TaskTracker::new();
    while !worker.shutdown.claims.is_cancelled() {
        // Claim no jobs while results cannot be recorded. If a delivery's result is not recorded, another worker may
        // repeat the delivery and send the mail again.
        if !worker.outage.can_record() {
            tokio::select! {
                () = tokio::time::sleep(UNREADY_INTERVAL) => {}
                () = worker.shutdown.claims.cancelled() => {}
            }
            continue;
        }
        let claimed_at = Instant::now();
        let wait = match worker.outage.observe(outbox::in_time(claimer.claim(slots.available_permits())).await) {
            Ok(ClaimResult::Jobs { jobs, is_probe }) => {
                for job in jobs {
                    metrics::record_pickup(job.due_for);
                    let slot = DeliverySlot::acquire(&slots, &listener).await;
                    deliveries.spawn(deliver(Arc::clone(worker), job, is_probe, claimed_at, slot));
                }
                continue;
            }
            Ok(ClaimResult::Empty { wait }) => wait.clamp(MIN_WAIT, POLL_INTERVAL),
            // `observe` has logged the error. Ignore notifications until the next poll.
            Err(_) => {
                tokio::select! {
                    () = tokio::time::sleep(POLL_INTERVAL) => {}
                    () = worker.shutdown.claims.cancelled() => {}
                }
                continue;
            }
        };
        tokio::select! {
            () = listener.wait(wait) => {}
            () = worker.shutdown.claims.cancelled() => {}
        }
    }
    deliveries.close();
    worker.shutdown.wind_down(deliveries.wait(), worker.limits.shutdown).await;
}

enum ClaimResult {
    Jobs {
        jobs: Vec<ClaimedJob>,
        is_probe: bool,
    },
    /// Nothing was claimed: there are no jobs to claim for now, or no free slots.
    Empty {
        /// Suggested time until the next claim.
        wait: Duration,
    },
}

struct Claimer<'a> {
    worker: &'a Worker,
    cursor: QueueCursor,
    /// The time of the last search for due retries. `None` if the next claim must search again.
    promoted_at: Option<Instant>,
}

impl Claimer<'_> {
    async fn claim(&mut self, free_slots: usize) -> Result<ClaimResult, Error> {
        let worker = self.worker;
        if free_slots == 0 {
            return Ok(ClaimResult::Empty { wait: POLL_INTERVAL });
        }
        let pool = &worker.pool;
        let options = ClaimOptions {
            worker: &worker.name,
            lease: worker.limits.lease,
            limit: i64::try_from(free_slots).unwrap_or(i64::MAX),
        };
        self.promote_due().await?;
        let jobs = self.cursor.claim(pool, options).await?;
        worker.capacity.record_claim(free_slots, jobs.len());
        if !jobs.is_empty() {
            return Ok(ClaimResult::Jobs { jobs, is_probe: false });
        }
        self.promoted_at = None;
        let next_due = outbox::next_due(pool).await?.unwrap_or(POLL_INTERVAL);
        let Some(stopped_for) = upstreams::stopped_for(pool).await? else {
            return Ok(ClaimResult::Empty { wait: next_due });
        };
        if let Some(order) = upstreams::take_probe(pool).await?
            && let Some(job) = outbox::claim_probe(pool, options, order).await?
        {
            return Ok(ClaimResult::Jobs { jobs: vec![job], is_probe: true });
        }
        Ok(ClaimResult::Empty { wait: next_due.min(stopped_for.max(MIN_WAIT)) })
    }

    /// Returns due retries to the queue. Does nothing if the last search for due retries was less than
    /// [`PROMOTE_INTERVAL`] ago and the last claim found jobs.
    async fn promote_due(&mut self) -> Result<(), Error> {
        if self.promoted_at.is_none_or(|at| at.elapsed() >= PROMOTE_INTERVAL) {
            outbox::promote_due(&self.worker.pool).await?;
            self.promoted_at = Some(Instant::now());
        }
        Ok(())
    }
}

async fn deliver(worker: Arc<Worker>, job: ClaimedJob, is_probe: bool, claimed_at: Instant, slot: DeliverySlot) {
    let held_lease = worker.lease_renewer.track(job.lease, claimed_at);
    let portals = worker.portals.current();
    DeliveryRun { worker: &worker, job: &job, portals: &portals, is_probe, held_lease: &held_lease, claimed_at }
        .run()
        .await;
    drop(slot);
}

/// One of the `WORKER_CONCURRENCY` slots. Releasing a slot makes the claim loop claim again: a slot is free, and the
/// finished delivery may have held back another job for the same recipient.
struct DeliverySlot {
    permit: Option<OwnedSemaphorePermit>,
    listener: Arc<JobListener>,
}

impl DeliverySlot {
    async fn acquire(slots: &Arc<Semaphore>, listener: &Arc<JobListener>) -> Self {
        // Never waits: the loop claims at most as many jobs as there are free slots, and only the loop acquires slots.
        let permit = Arc::clone(slots).acquire_owned().await.ok();
        Self { permit, listener: Arc::clone(listener) }
    }
}

impl Drop for DeliverySlot {
    fn drop(&mut self) {
        // Release the permit before waking the claim loop, which would otherwise find no free slot.
        drop(self.permit.take());
        self.listener.wake();
    }
}
