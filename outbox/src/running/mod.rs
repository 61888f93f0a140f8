//! What workers do with a job: claim it, store its link, requeue it or finish it, and record each step they tried.
//!
//! Each write is fenced by the job's lease, and each is a single statement or transaction.

pub(crate) mod claim;
pub(crate) mod finish;
pub(crate) mod queue_cursor;
pub(crate) mod requeue;
pub(crate) mod seal;
pub(crate) mod step_records;
