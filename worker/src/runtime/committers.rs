//! Writes the results of deliveries to the outbox in batches: while a commit is in progress, new records wait for the
//! next commit.

use std::io;

use outbox::{CommitError, Finish, GroupCommit, PgPool, Recorded, Requeue, Requeued, Seal, SendDecision};

use crate::metrics;

/// The worker's committers, one for each kind of record.
pub struct Committers {
    /// Stores links before they are mailed, and decides whether each mail may be sent.
    pub seals: GroupCommit<Seal, SendDecision>,
    /// Ends jobs as sent or failed.
    pub finishes: GroupCommit<Finish, Recorded>,
    /// Returns jobs to the queue.
    pub requeues: GroupCommit<Requeue, Requeued>,
}

impl Committers {
    /// Number of database connections: one for each committer.
    pub const CONNECTIONS: u32 = 3;

    /// Starts the committers. They stop when this value is dropped.
    ///
    /// # Errors
    /// The operating system cannot start a thread.
    pub fn start(pool: &PgPool) -> io::Result<Self> {
        Ok(Self {
            seals: GroupCommit::of_seals(pool, |batch, duration| metrics::record_commit("seal", batch, duration))?,
            finishes: GroupCommit::of_finishes(pool, |batch, duration| metrics::record_commit("end", batch, duration))?,
            requeues: GroupCommit::of_requeues(pool, |batch, duration| {
                metrics::record_commit("return", batch, duration)
            })?,
        })
    }

    /// Checks that every committer can write to the database now.
    ///
    /// # Errors
    /// The error of the first committer that cannot write.
    pub async fn check(&self) -> Result<(), CommitError> {
        tokio::try_join!(self.seals.check(), self.finishes.check(), self.requeues.check()).map(drop)
    }
}
