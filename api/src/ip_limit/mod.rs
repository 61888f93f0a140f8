//! The rate limit per client network: finds the client's address (`client_ip`), keeps its quotas (`limiter`,
//! `buckets`), and rejects requests above them before their body is read (`middleware`).

mod buckets;
pub(crate) mod client_ip;
pub(crate) mod limiter;
pub(crate) mod middleware;
