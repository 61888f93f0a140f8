//! The state that all tasks of a running worker share: connections, leases, capacity, and how it shuts down.

pub(crate) mod capacity;
pub(crate) mod committers;
pub(crate) mod leases;
pub(crate) mod outage;
pub(crate) mod shutdown;
pub(crate) mod worker;
