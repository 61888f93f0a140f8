//! The state that all programs share and operators watch: the backlog, the workers' capacity, the upstreams' breakers,
//! and the programs themselves.

pub(crate) mod backlog;
pub(crate) mod capacity;
pub mod programs;
pub mod redirect_checks;
pub mod upstreams;
