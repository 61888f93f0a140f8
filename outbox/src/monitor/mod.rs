//! The state that all programs share and operators watch: the backlog, the workers' capacity, and the upstreams' breakers.

pub(crate) mod backlog;
pub(crate) mod capacity;
pub mod redirect_checks;
pub mod upstreams;
