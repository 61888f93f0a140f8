//! The rate limit per network: who is calling (`client_ip`), the quotas' state (`limiter`, `buckets`), and the layer
//! that refuses requests (`middleware`).

pub(crate) mod buckets;
pub(crate) mod client_ip;
pub(crate) mod limiter;
pub(crate) mod middleware;
