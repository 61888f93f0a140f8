//! Periodic tasks: rescue jobs whose worker died, expire late jobs, roll up counts, and delete rows that are no longer
//! needed.
//!
//! Every worker runs these tasks. Each task is safe to run on several workers at the same time.

pub(crate) mod expire;
pub(crate) mod forget;
pub(crate) mod forget_idle_quotas;
pub(crate) mod rescue;
pub(crate) mod roll_up;
