//! The rate limit per client network: finds the client's address (`client_ip`, `forwarded`, `trusted_proxies`), tracks the
//! client's quotas (`limiter`, `buckets`), and rejects requests above these quotas before their body is read (`middleware`).
//! `limited_requests` detects whether most rejected requests come from one network.

mod buckets;
pub(crate) mod client_ip;
pub(crate) mod forwarded;
mod limited_requests;
pub(crate) mod limiter;
pub(crate) mod middleware;
pub(crate) mod trusted_proxies;
