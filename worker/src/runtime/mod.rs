//! The state that all tasks of a running worker share. `worker` holds everything together; `leases` keeps claimed jobs,
//! `committers` writes their results in batches, `capacity` measures the throughput, `outage` logs database outages, and
//! `shutdown` stops the worker.

pub(crate) mod capacity;
pub(crate) mod committers;
pub(crate) mod leases;
pub(crate) mod outage;
pub(crate) mod shutdown;
pub(crate) mod upstream_monitor;
pub(crate) mod upstream_stop;
pub(crate) mod worker;
