//! The rate limit per client network: tracks the quotas of the client that the crate `callers` has found (`limiter`,
//! `buckets`), and rejects requests above these quotas before their body is read (`middleware`). `limited_requests`
//! detects whether most rejected requests come from one network. `proxy_log` decides which addresses may be logged, and
//! warns about proxies that are not trusted.

mod buckets;
mod limited_requests;
pub(crate) mod limiter;
pub(crate) mod middleware;
mod proxy_log;
