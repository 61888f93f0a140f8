//! Whether one more job can be mailed in time: `decide` is the rule, `queue_monitor` what it knows about the queue.

pub(crate) mod decide;
pub(crate) mod queue_monitor;
