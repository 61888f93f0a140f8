//! The outbox's promises, on a real Postgres.
#![allow(clippy::unwrap_used)]

mod claims;
mod documented_queries;
mod ends;
mod enqueues;
mod forgetting;
mod lock_order;
mod migrations;
mod partitions;
mod plans;
mod programs;
mod queue_cursor;
mod reconciling;
mod redirect_checks;
mod reports;
mod roles;
mod silence;
mod strangers;
mod test_outbox;
mod upstreams;
mod views;
