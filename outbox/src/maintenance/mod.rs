//! Periodic tasks: rescue jobs whose worker died, expire late ones, roll up counts, and delete what is no longer needed.
//!
//! Every worker runs them; each is safe to run on several workers at once.

pub(crate) mod expire;
pub(crate) mod forget;
pub(crate) mod forget_idle_quotas;
pub(crate) mod rescue;
pub(crate) mod roll_up;
