//! Takes as many jobs as there are free slots, whenever there may be some: at a bell, when a slot becomes free, when
//! a retry is due, when a pause or a breaker's wait ends; and once a second all the same.

use std::{sync::Arc, time::Duration};

use outbox::{ClaimOptions, ClaimedJob, Error, JobListener, QueueCursor, upstreams};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::task::TaskTracker;

use crate::{deliver::context::DeliveryRun, metrics, runtime::worker::Worker, upstream::health::Pace};

/// The fallback, should the bell be deaf.
const POLL: Duration = Duration::from_secs(1);

/// The shortest wait: what is due this moment may be another worker's.
const BREATH: Duration = Duration::from_millis(20);

/// Under load, retries that are due join the queue so often.
const PROMOTE_EVERY: Duration = Duration::from_millis(50);

/// Claims and delivers until claims are stopped; then waits for what runs, and cuts it short if need be.
pub(crate) async fn run(worker: &Arc<Worker>) {
    let wake = Arc::new(JobListener::listen(&worker.pool));
    let slots = Arc::new(Semaphore::new(worker.limits.concurrency));
    let mut claimer = Claimer { worker, head: QueueCursor::default(), promoted_at: None };
    let deliveries = TaskTracker::new();
    while !worker.shutdown.claims.is_cancelled() {
        let claimed_at = Instant::now();
        let pause = match worker.outage.observe(outbox::in_time(claimer.claim(slots.available_permits())).await) {
            Ok(ClaimResult::Jobs { jobs, probe }) => {
                for job in jobs {
                    metrics::record_pickup(job.due_for);
                    let slot = DeliverySlot::take(&slots, &wake).await;
                    deliveries.spawn(deliver(Arc::clone(worker), job, probe, claimed_at, slot));
                }
                continue;
            }
            Ok(ClaimResult::None { look_again }) => look_again.clamp(BREATH, POLL),
            // Told by the watch; the bell may ring meanwhile and change nothing.
            Err(_) => {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = worker.shutdown.claims.cancelled() => {}
                }
                continue;
            }
        };
        tokio::select! {
            () = wake.wait(pause) => {}
            () = worker.shutdown.claims.cancelled() => {}
        }
    }
    deliveries.close();
    worker.shutdown.wind_down(deliveries.wait(), worker.limits.shutdown).await;
}

enum ClaimResult {
    Jobs { jobs: Vec<ClaimedJob>, probe: bool },
    None { look_again: Duration },
}

struct Claimer<'a> {
    worker: &'a Worker,
    head: QueueCursor,
    /// When retries were last looked at; none where it is time again.
    promoted_at: Option<Instant>,
}

impl Claimer<'_> {
    async fn claim(&mut self, free: usize) -> Result<ClaimResult, Error> {
        let worker = self.worker;
        if free == 0 {
            return Ok(ClaimResult::None { look_again: POLL });
        }
        let pace = worker.upstream_health.pace(Instant::now());
        let free = match pace {
            Pace::Free => free,
            Pace::One => 1,
            Pace::Wait(pause) => return Ok(ClaimResult::None { look_again: pause }),
        };
        let pool = &worker.pool;
        let options = ClaimOptions {
            worker: &worker.name,
            lease: worker.limits.lease,
            limit: i64::try_from(free).unwrap_or(i64::MAX),
            probe: false,
        };
        self.promote_due().await?;
        let jobs = self.head.claim(pool, options).await?;
        worker.capacity.record_claim(free, jobs.len());
        if !jobs.is_empty() {
            if pace == Pace::One {
                worker.upstream_health.record_slow_claim(Instant::now());
            }
            return Ok(ClaimResult::Jobs { jobs, probe: false });
        }
        self.promoted_at = None;
        let due = outbox::next_due(pool).await?.unwrap_or(POLL);
        let Some(stopped) = upstreams::stopped_for(pool).await? else {
            return Ok(ClaimResult::None { look_again: due });
        };
        if upstreams::take_probe(pool).await? {
            let jobs = outbox::claim(pool, ClaimOptions { limit: 1, probe: true, ..options }).await?;
            if !jobs.is_empty() {
                return Ok(ClaimResult::Jobs { jobs, probe: true });
            }
        }
        Ok(ClaimResult::None { look_again: due.min(stopped.max(BREATH)) })
    }

    /// While there is enough to do, retries need not be looked at before each claim.
    async fn promote_due(&mut self) -> Result<(), Error> {
        if self.promoted_at.is_none_or(|at| at.elapsed() >= PROMOTE_EVERY) {
            outbox::promote_due(&self.worker.pool).await?;
            self.promoted_at = Some(Instant::now());
        }
        Ok(())
    }
}

async fn deliver(worker: Arc<Worker>, job: ClaimedJob, is_probe: bool, claimed_at: Instant, slot: DeliverySlot) {
    let held_lease = worker.lease_renewer.track(job.lease, claimed_at);
    DeliveryRun { worker: &worker, job: &job, is_probe, held_lease: &held_lease, claimed_at }.run().await;
    drop(slot);
}

/// One of the deliveries at a time. Rings the bell when it is free again: there is room, and a job of the same
/// recipient, held back by this one, may be next.
struct DeliverySlot {
    permit: Option<OwnedSemaphorePermit>,
    wake: Arc<JobListener>,
}

impl DeliverySlot {
    async fn take(slots: &Arc<Semaphore>, wake: &Arc<JobListener>) -> Self {
        // Never waits: no more is claimed than is free, and nobody else takes slots.
        let permit = Arc::clone(slots).acquire_owned().await.ok();
        Self { permit, wake: Arc::clone(wake) }
    }
}

impl Drop for DeliverySlot {
    fn drop(&mut self) {
        // Before the bell, or the claim that it wakes finds no room.
        drop(self.permit.take());
        self.wake.ring();
    }
}
