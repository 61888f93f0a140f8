//! Renews the leases of this worker's running jobs. A single statement renews all leases, three times per lease
//! duration.
//!
//! A delivery is cancelled when its lease is lost or is about to expire, because another worker may then claim the job.
//! If a delivery continues after another worker has claimed its job, its writes change nothing, because its fencing
//! token is out of date.

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

/// The leases that this worker holds.
pub struct LeaseRenewer {
    duration: Duration,
    entries: Mutex<HashMap<Lease, LeaseEntry>>,
}

struct LeaseEntry {
    expires_at: Instant,
    lost: CancellationToken,
}

/// The lease of one running job. Drop this value when the job is done, so that the lease is no longer renewed.
pub struct HeldLease<'a> {
    renewer: &'a LeaseRenewer,
    lease: Lease,
    /// Cancelled when the lease is lost or is about to expire.
    pub lost: CancellationToken,
}

impl HeldLease<'_> {
    /// Whether the lease is valid by this process's clock, with more than a sixth of its duration left. If the process
    /// was suspended for longer than the lease, this check is the first to notice that the lease is lost.
    pub fn is_valid(&self) -> bool {
        let earliest = self.renewer.earliest_valid_expiry();
        self.renewer.lock().get(&self.lease).is_some_and(|entry| entry.expires_at > earliest)
    }
}

impl LeaseRenewer {
    /// Creates a renewer without leases. Each lease lasts for `duration` after its claim or renewal.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        Self { duration, entries: Mutex::default() }
    }

    /// Starts renewing a lease. `claimed_at` is the time just before the claim was sent.
    pub fn track(&self, lease: Lease, claimed_at: Instant) -> HeldLease<'_> {
        let lost = CancellationToken::new();
        self.lock().insert(lease, LeaseEntry { expires_at: claimed_at + self.duration, lost: lost.clone() });
        metrics::add_running_jobs(1.0);
        HeldLease { renewer: self, lease, lost }
    }

    /// Renews all tracked leases. Never returns.
    pub async fn run(&self, pool: &PgPool, outage: &OutageLog) {
        let mut pause = self.duration / 3;
        loop {
            sleep(pause).await;
            // After a failure, try again soon: there is time for several attempts before a lease expires.
            pause = if self.renew(pool, outage).await { self.duration / 3 } else { self.duration / 12 };
            self.cancel_expiring();
        }
    }

    /// Renews all tracked leases once. Returns whether the renewal succeeded.
    async fn renew(&self, pool: &PgPool, outage: &OutageLog) -> bool {
        let leases: Vec<Lease> = self.lock().keys().copied().collect();
        if leases.is_empty() {
            return true;
        }
        let sent_at = Instant::now();
        let renewed = timeout(self.duration / 12, outbox::renew_leases(pool, &leases, self.duration)).await;
        let Ok(Ok(renewed)) = renewed.map(|renewed| outage.observe(renewed)) else { return false };
        let mut entries = self.lock();
        for lease in leases {
            match entries.get_mut(&lease) {
                Some(entry) if renewed.contains(&lease) => entry.expires_at = sent_at + self.duration,
                Some(entry) => entry.lost.cancel(),
                // The job finished during the renewal.
                None => {}
            }
        }
        true
    }

    /// Cancels the deliveries whose leases are about to expire, early enough for them to stop.
    fn cancel_expiring(&self) {
        let earliest = self.earliest_valid_expiry();
        self.lock().values().filter(|entry| entry.expires_at <= earliest).for_each(|entry| entry.lost.cancel());
    }

    /// A lease that expires at this time or earlier counts as lost.
    fn earliest_valid_expiry(&self) -> Instant {
        Instant::now() + self.duration / 6
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, LeaseEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        self.renewer.lock().remove(&self.lease);
        metrics::add_running_jobs(-1.0);
    }
}
