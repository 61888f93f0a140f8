//! The state that all tasks of a running worker share. `worker` holds everything together; `leases` keeps claimed jobs,
//! `committers` writes their results in batches, `capacity` measures the throughput, `outage` logs database outages, and
//! `shutdown` stops the worker. `redirect_checker` checks callbacks before links are made, with a `request_budget`,
//! `link_path_checker` checks where links lead, and `recent` remembers their answers.

pub(crate) mod capacity;
pub(crate) mod committers;
pub(crate) mod leases;
pub(crate) mod link_path_checker;
pub(crate) mod outage;
mod recent;
pub(crate) mod redirect_checker;
mod request_budget;
pub(crate) mod shutdown;
pub(crate) mod upstream_monitor;
pub(crate) mod upstream_stop;
pub(crate) mod worker;
