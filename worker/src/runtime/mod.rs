//! The state that all tasks of a running worker share. `worker` defines this state. `leases` renews the leases of
//! claimed jobs, `committers` writes results in batches, `capacity` measures the throughput, `outage` logs database
//! outages, and `shutdown` stops the worker. `upstream_monitor` makes check calls, and `upstream_stop` stops, pauses
//! and resumes an upstream. `redirect_checker` checks callbacks within a `request_budget`, and `link_path_checker`
//! checks that the path of links is served. Both checkers keep their answers in a `ttl_cache`.

pub(crate) mod capacity;
pub(crate) mod committers;
pub(crate) mod leases;
pub(crate) mod link_path_checker;
pub(crate) mod outage;
pub(crate) mod redirect_checker;
mod request_budget;
pub(crate) mod shutdown;
mod ttl_cache;
pub(crate) mod upstream_monitor;
pub(crate) mod upstream_stop;
pub(crate) mod worker;
