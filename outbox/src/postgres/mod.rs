//! Access to Postgres: connections, errors, sessions that retry a write, NOTIFY and LISTEN, and the day partitions.

pub(crate) mod connect;
pub(crate) mod database_url;
mod describe;
pub(crate) mod error;
pub mod inspect;
pub(crate) mod job_listener;
pub(crate) mod notify;
pub mod partitions;
pub(crate) mod pooler;
pub(crate) mod schema;
pub(crate) mod session;
