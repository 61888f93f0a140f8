//! Keeps hold of the jobs that run here: one statement renews all leases, three times in each lease's time.
//!
//! A delivery whose lease is lost, or cannot be renewed before it ends, is told to stop: from then on the job is
//! somebody else's. (Should it not hear in time, the fencing token makes its writes change nothing.)

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use outbox::{Lease, PgPool};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::outage::OutageLog;
use crate::metrics;

/// The leases held by this worker.
pub struct LeaseRenewer {
    time: Duration,
    held: Mutex<HashMap<Lease, LeaseEntry>>,
}

struct LeaseEntry {
    ends: Instant,
    lost: CancellationToken,
}

/// One lease, while its job runs; dropped when the job is done.
pub struct HeldLease<'a> {
    leases: &'a LeaseRenewer,
    lease: Lease,
    /// Cancelled when the lease is lost, or about to be.
    pub lost: CancellationToken,
}

impl HeldLease<'_> {
    /// Whether the lease still lasts by our own clock, with time left to be told otherwise. A process that was
    /// frozen past its lease knows by this, and by nothing sooner.
    pub fn lasts(&self) -> bool {
        let margin = self.leases.margin();
        self.leases.lock().get(&self.lease).is_some_and(|held| held.ends > margin)
    }
}

impl LeaseRenewer {
    /// None yet; each holds for `time`.
    #[must_use]
    pub fn new(time: Duration) -> Self {
        Self { time, held: Mutex::default() }
    }

    /// Takes note of a lease from a claim that was sent at `claimed_at`.
    pub fn hold(&self, lease: Lease, claimed_at: Instant) -> HeldLease<'_> {
        let lost = CancellationToken::new();
        self.lock().insert(lease, LeaseEntry { ends: claimed_at + self.time, lost: lost.clone() });
        metrics::running(1.0);
        HeldLease { leases: self, lease, lost }
    }

    /// Renews leases for ever.
    pub async fn keep(&self, pool: &PgPool, outage: &OutageLog) {
        let mut pause = self.time / 3;
        loop {
            sleep(pause).await;
            // After a failure again soon: there is time for several before a lease ends.
            pause = if self.renew(pool, outage).await { self.time / 3 } else { self.time / 12 };
            self.give_up_ending();
        }
    }

    async fn renew(&self, pool: &PgPool, outage: &OutageLog) -> bool {
        let leases: Vec<Lease> = self.lock().keys().copied().collect();
        if leases.is_empty() {
            return true;
        }
        let sent_at = Instant::now();
        let renewed = timeout(self.time / 12, outbox::renew_leases(pool, &leases, self.time)).await;
        let Ok(Ok(renewed)) = renewed.map(|renewed| outage.watch(renewed)) else { return false };
        let mut held = self.lock();
        for lease in leases {
            match held.get_mut(&lease) {
                Some(kept) if renewed.contains(&lease) => kept.ends = sent_at + self.time,
                Some(gone) => gone.lost.cancel(),
                // Its job was done meanwhile.
                None => {}
            }
        }
        true
    }

    /// Tells those deliveries to stop whose lease is about to end, with time left to stop in.
    fn give_up_ending(&self) {
        let margin = self.margin();
        self.lock().values().filter(|held| held.ends <= margin).for_each(|held| held.lost.cancel());
    }

    /// A lease that ends before this is as good as lost.
    fn margin(&self) -> Instant {
        Instant::now() + self.time / 6
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, LeaseEntry>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        self.leases.lock().remove(&self.lease);
        metrics::running(-1.0);
    }
}
