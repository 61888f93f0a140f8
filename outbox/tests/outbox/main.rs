//! Tests of the outbox against a real Postgres server.
#![allow(clippy::unwrap_used)]

mod claims;
mod documented_queries;
mod ends;
mod enqueues;
mod forgetting;
mod history;
mod lock_order;
mod migrations;
mod operators;
mod partitions;
mod plans;
mod portals;
mod programs;
mod public_roles;
mod queue_cursor;
mod reconciling;
mod redirect_checks;
mod reports;
mod roles;
mod silent_network;
mod test_outbox;
mod upstreams;
mod views;
