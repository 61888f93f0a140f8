//! What workers do with a job: claim it, store its link, requeue or finish it, and record each step.
//!
//! Each write to a claimed job carries the job's lease, and is a single statement or transaction.

pub(crate) mod claim;
pub(crate) mod finish;
pub(crate) mod queue_cursor;
pub(crate) mod requeue;
pub(crate) mod seal;
pub(crate) mod step_records;
