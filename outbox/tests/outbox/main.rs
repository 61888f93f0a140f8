//! The outbox's promises, on a real Postgres.
#![allow(clippy::unwrap_used)]

mod claims;
mod ends;
mod enqueues;
mod partitions;
mod silence;
mod strangers;
mod test_outbox;
mod upstreams;
mod views;
