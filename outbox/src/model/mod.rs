//! The types that jobs are described with: identifiers, addresses, states and quotas. They hold rules, but no SQL.

pub(crate) mod delivery;
pub(crate) mod duration;
pub(crate) mod email;
pub(crate) mod job;
pub(crate) mod quota;
