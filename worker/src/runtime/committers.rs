//! What deliveries write down, many at a time: whatever comes while a commit is under way goes together in the next.

use std::io;

use outbox::{Finish, GroupCommit, PgPool, Recorded, Requeue, Requeued, Seal, SendDecision};

use crate::metrics;

/// The worker's committers, one for each kind of record.
pub struct Committers {
    /// Links, stored before they are mailed.
    pub seals: GroupCommit<Seal, SendDecision>,
    /// Ends of jobs.
    pub ends: GroupCommit<Finish, Recorded>,
    /// Jobs that are to wait again.
    pub returns: GroupCommit<Requeue, Requeued>,
}

impl Committers {
    /// Starts the committers; they end with this.
    ///
    /// # Errors
    /// The system gives no threads.
    pub fn start(pool: &PgPool) -> io::Result<Self> {
        Ok(Self {
            seals: GroupCommit::of_seals(pool, |batch, taken| metrics::recorded("seal", batch, taken))?,
            ends: GroupCommit::of_ends(pool, |batch, taken| metrics::recorded("end", batch, taken))?,
            returns: GroupCommit::of_returns(pool, |batch, taken| metrics::recorded("return", batch, taken))?,
        })
    }
}
