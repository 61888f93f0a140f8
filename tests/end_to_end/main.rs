//! End-to-end tests with the real programs, a real Postgres and the stand-ins.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a panic fails the test; some tests print what they measured"
)]

mod admission;
mod crashes;
mod deliveries;
mod dev;
mod failovers;
mod jobs;
mod languages;
mod latest_wins;
mod link_lengths;
mod main_job;
mod metrics;
mod operator;
mod outages;
mod portals;
mod programs;
mod reconciliation;
mod replicas;
mod secrets;
mod storms;
